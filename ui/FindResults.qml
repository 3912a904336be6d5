pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// What is looked for in all documents, and where it stands.
ColumnLayout {
    id: root

    required property LibraryFind finding
    readonly property bool searching: words.text !== ""
    signal closed()

    function edit() {
        words.forceActiveFocus(Qt.ShortcutFocusReason);
        words.selectAll();
    }

    spacing: Theme.gap
    Timer {
        id: typed
        interval: 150
        onTriggered: root.finding.words = words.text
    }
    TextField {
        id: words
        objectName: "findAllWords"
        Layout.fillWidth: true
        implicitHeight: Math.max(32, Theme.base * 2.1)
        leftPadding: 10
        placeholderText: qsTr("Find in all documents")
        font.pixelSize: Theme.base
        color: Theme.text
        selectByMouse: true
        Accessible.name: qsTr("Find in all documents")
        onTextChanged: text === "" ? (root.finding.words = "") : typed.restart()
        Keys.onEscapePressed: {
            clear();
            root.closed();
        }
        Keys.onDownPressed: {
            list.currentIndex = 0;
            list.forceActiveFocus(Qt.TabFocusReason);
        }
        Keys.onReturnPressed: {
            typed.stop();
            if (root.finding.words === text)
                root.finding.open(Math.max(0, list.currentIndex));
            else
                root.finding.words = text;
        }
        background: Rectangle {
            radius: Theme.radius
            color: Theme.paper
            border.color: words.activeFocus ? Theme.accent : Theme.edge
        }
    }
    Text {
        objectName: "findAllNote"
        Layout.fillWidth: true
        visible: root.searching && text !== ""
        text: root.finding.note
        color: Theme.muted
        font.pixelSize: Theme.small
        wrapMode: Text.Wrap
        Accessible.role: Accessible.StaticText
        Accessible.name: text
    }
    ListView {
        id: list
        objectName: "findAllHits"
        Layout.fillWidth: true
        Layout.fillHeight: true
        visible: root.searching
        clip: true
        spacing: 2
        keyNavigationEnabled: true
        boundsBehavior: Flickable.StopAtBounds
        model: root.finding
        ScrollBar.vertical: ScrollBar {}
        Accessible.role: Accessible.List
        Accessible.name: qsTr("Places found")
        Keys.onEscapePressed: words.forceActiveFocus(Qt.OtherFocusReason)
        delegate: ItemDelegate {
            id: hit
            required property int index
            required property string title
            required property string place
            required property string snippet
            required property string plain
            width: ListView.view.width
            padding: 10
            Accessible.name: hit.title + ", " + hit.place
            Accessible.description: hit.plain
            onClicked: root.finding.open(hit.index)
            Keys.onReturnPressed: root.finding.open(hit.index)
            contentItem: ColumnLayout {
                spacing: 3
                RowLayout {
                    spacing: Theme.gap
                    Text {
                        Layout.fillWidth: true
                        text: hit.title
                        textFormat: Text.PlainText
                        color: Theme.text
                        font.pixelSize: Theme.small
                        font.weight: Font.DemiBold
                        wrapMode: Text.Wrap
                        maximumLineCount: 2
                        elide: Text.ElideRight
                    }
                    Text {
                        Layout.maximumWidth: hit.width / 2
                        Layout.alignment: Qt.AlignTop
                        text: hit.place
                        textFormat: Text.PlainText
                        color: Theme.muted
                        font.pixelSize: Theme.small
                        elide: Text.ElideRight
                    }
                }
                Text {
                    Layout.fillWidth: true
                    text: hit.snippet
                    textFormat: Text.StyledText
                    color: Theme.text
                    font.pixelSize: Theme.small
                    wrapMode: Text.WrapAtWordBoundaryOrAnywhere
                    maximumLineCount: 4
                    elide: Text.ElideRight
                }
            }
            background: Rectangle {
                radius: Theme.radius
                color: hit.hovered ? Theme.hover : "transparent"
                border.width: hit.visualFocus ? 2 : 0
                border.color: Theme.accent
            }
        }
    }
}
