pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Left: the documents, and the model they are read with.
FocusScope {
    id: root

    required property LibraryController library
    required property LibraryFind finding
    required property ModelController model
    signal addWanted()
    signal modelFileWanted()
    signal settingsWanted()

    function find() {
        if (root.library.documents.count > 0)
            results.edit();
    }

    Rectangle {
        anchors.fill: parent
        color: Theme.pane
    }
    ColumnLayout {
        anchors.fill: parent
        spacing: 0

        RowLayout {
            Layout.fillWidth: true
            Layout.preferredHeight: Theme.barHeight
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.gap
            Text {
                Layout.fillWidth: true
                text: qsTr("Library")
                color: Theme.text
                font.pixelSize: Theme.large
                font.weight: Font.DemiBold
                elide: Text.ElideRight
            }
            TextButton {
                objectName: "add"
                text: qsTr("Add…")
                Accessible.name: qsTr("Add documents")
                onClicked: root.addWanted()
            }
            TextButton {
                objectName: "settings"
                implicitWidth: implicitHeight
                text: "\u2699"
                Accessible.name: qsTr("Settings")
                onClicked: root.settingsWanted()
            }
        }
        Line { Layout.fillWidth: true }
        FindResults {
            id: results
            Layout.fillWidth: true
            Layout.fillHeight: searching
            Layout.margins: Theme.gap
            Layout.bottomMargin: 0
            visible: root.library.documents.count > 0
            finding: root.finding
            onClosed: list.forceActiveFocus(Qt.OtherFocusReason)
        }
        RowLayout {
            Layout.fillWidth: true
            Layout.margins: Theme.gap
            Layout.bottomMargin: 0
            spacing: 2
            visible: root.library.documents.count > 5 && !results.searching   // fewer are seen at a glance
            TextField {
                id: words
                objectName: "libraryWords"
                Layout.fillWidth: true
                implicitHeight: Math.max(32, Theme.base * 2.1)
                leftPadding: 10
                placeholderText: qsTr("Titles with…")
                font.pixelSize: Theme.base
                color: Theme.text
                selectByMouse: true
                onTextChanged: root.library.shown.words = text
                Keys.onEscapePressed: clear()
                Keys.onDownPressed: list.forceActiveFocus(Qt.TabFocusReason)
                Accessible.name: qsTr("Show documents whose titles have these words")
                background: Rectangle {
                    radius: Theme.radius
                    color: Theme.paper
                    border.color: words.activeFocus ? Theme.accent : Theme.edge
                }
            }
            TextButton {
                objectName: "libraryOrder"
                implicitWidth: Math.max(36, implicitHeight)
                text: "\u2195"
                Accessible.name: qsTr("Order of the library")
                onClicked: orders.popup(0, height)
                PlainMenu {
                    id: orders
                    component Choice: PlainMenuItem {
                        required property int order
                        checkable: true
                        checked: root.library.shown.order === order
                        onTriggered: root.library.shown.order = order
                    }
                    Choice {
                        order: ShownLibrary.LastUsed
                        text: qsTr("Last used first")
                    }
                    Choice {
                        order: ShownLibrary.Added
                        text: qsTr("Newest first")
                    }
                    Choice {
                        order: ShownLibrary.Title
                        text: qsTr("By title")
                    }
                    Choice {
                        order: ShownLibrary.Size
                        text: qsTr("Largest first")
                    }
                }
            }
        }
        ListView {
            id: list
            objectName: "library"
            visible: !results.searching
            Layout.fillWidth: true
            Layout.fillHeight: true
            Layout.margins: Theme.gap
            clip: true
            spacing: 2
            focus: true
            keyNavigationEnabled: true
            boundsBehavior: Flickable.StopAtBounds
            model: root.library.shown
            onActiveFocusChanged: if (activeFocus && currentIndex < 0)
                currentIndex = 0   // a list that was filled at once has no current item
            ScrollBar.vertical: ScrollBar {}
            Accessible.role: Accessible.List
            Accessible.name: qsTr("Library")
            delegate: LibraryItem {
                id: item
                current: sha === root.library.current
                onClicked: root.library.open(sha)
                onForgetWanted: root.library.forget(item.sha)
                onMenuWanted: (x, y) => documentMenu.show(item, x, y)
                Keys.onReturnPressed: root.library.open(sha)
            }
            Text {
                anchors.centerIn: parent
                width: parent.width - 24
                visible: list.count === 0
                text: root.library.documents.count === 0 ? qsTr("No documents yet") : qsTr("No title has these words")
                color: Theme.muted
                font.pixelSize: Theme.base
                horizontalAlignment: Text.AlignHCenter
                wrapMode: Text.Wrap
            }
        }
        RowLayout {
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.gap
            Layout.bottomMargin: Theme.gap
            visible: root.library.adding !== ""
            Text {
                Layout.fillWidth: true
                text: root.library.adding
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                elide: Text.ElideMiddle
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }
            TextButton {
                text: qsTr("Stop")
                Accessible.name: qsTr("Stop adding documents")
                onClicked: root.library.stopAdding()
            }
        }
        Line { Layout.fillWidth: true }
        ModelButton {
            Layout.fillWidth: true
            model: root.model
            onOtherWanted: root.modelFileWanted()
        }
    }
    DocumentMenu {
        id: documentMenu
        objectName: "menuOfDocument"
        library: root.library
    }
}
