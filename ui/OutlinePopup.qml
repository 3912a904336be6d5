pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// The document's table of contents: the section that is shown is marked, Enter goes to the chosen one.
Popup {
    id: root

    required property Navigator navigator
    property int shown: -1   // the entry whose section is in view
    readonly property real wantedHeight: topPadding + bottomPadding + (list.count > 0 ? list.contentHeight : Theme.base * 6)

    function show(entry: int) {
        shown = entry;
        list.currentIndex = Math.max(0, entry);
        open();
        list.positionViewAtIndex(list.currentIndex, ListView.Center);
    }

    padding: Theme.gap
    focus: true
    background: Rectangle {
        radius: Theme.radius
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: list.forceActiveFocus()

    Text {
        anchors.fill: parent
        visible: list.count === 0
        text: qsTr("This document has no table of contents.")
        color: Theme.muted
        font.pixelSize: Theme.base
        wrapMode: Text.Wrap
        horizontalAlignment: Text.AlignHCenter
        verticalAlignment: Text.AlignVCenter
    }
    ListView {
        id: list
        objectName: "outline"
        anchors.fill: parent
        clip: true
        focus: true
        boundsBehavior: Flickable.StopAtBounds
        highlightMoveDuration: 0
        model: root.navigator.outline
        ScrollBar.vertical: ScrollBar {}
        Accessible.role: Accessible.Tree
        Accessible.name: qsTr("Table of contents")
        Keys.onReturnPressed: choose(currentIndex)
        Keys.onEnterPressed: choose(currentIndex)
        Keys.onPressed: (event) => {
            const step = event.key === Qt.Key_PageDown ? 12 : event.key === Qt.Key_PageUp ? -12 : event.key === Qt.Key_Home ? -count : event.key === Qt.Key_End ? count : 0;
            if (step === 0)
                return;
            event.accepted = true;
            currentIndex = Math.max(0, Math.min(count - 1, currentIndex + step));
        }
        function choose(entry: int) {
            root.close();
            root.navigator.follow(entry);
        }
        delegate: ItemDelegate {
            id: entry
            required property int index
            required property var modelData
            width: ListView.view.width
            implicitHeight: Math.max(30, Theme.base * 2, implicitContentHeight + 10)
            topPadding: 0
            bottomPadding: 0
            leftPadding: 8 + Math.min(8, modelData.level) * Theme.base
            highlighted: ListView.isCurrentItem
            Accessible.role: Accessible.TreeItem
            Accessible.name: modelData.page > 0 ? qsTr("%1, page %2").arg(modelData.title).arg(modelData.page) : modelData.title
            onClicked: list.choose(index)
            contentItem: RowLayout {
                spacing: Theme.gap
                Text {
                    Layout.fillWidth: true
                    text: entry.modelData.title
                    textFormat: Text.PlainText
                    color: entry.index === root.shown ? Theme.accent : entry.modelData.leads ? Theme.text : Theme.muted
                    font.pixelSize: Theme.base
                    font.weight: entry.index === root.shown ? Font.DemiBold : Font.Normal
                    wrapMode: Text.Wrap
                    maximumLineCount: 3
                    elide: Text.ElideRight
                }
                Text {
                    text: entry.modelData.page > 0 ? entry.modelData.page : ""
                    color: Theme.muted
                    font.pixelSize: Theme.small
                }
            }
            background: Rectangle {
                radius: Theme.radius
                color: entry.highlighted || entry.hovered ? Theme.hover : "transparent"
            }
        }
    }
}
