import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// What a person may choose, group by group; each has a default that does.
Popup {
    id: root

    required property AppController app

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 38, parent ? parent.width - 48 : 520)
    height: Math.min(groups.implicitHeight + title.implicitHeight + close.implicitHeight + 84, parent ? parent.height - 48 : 600)
    padding: 24
    rightPadding: 12
    modal: true
    focus: true
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: {
        scroll.contentY = 0;
        root.app.disk.refresh();
        groups.nextItemInFocusChain(true).forceActiveFocus(Qt.PopupFocusReason);
    }

    // Whatever the keyboard reaches is in view, and stays there when something above it grows.
    readonly property Item reached: root.opened && root.parent ? root.parent.Window.activeFocusItem : null
    onReachedChanged: showReached()
    function showReached() {
        const at = reached ? reached.mapToItem(groups, 0, 0).y : -1;
        if (at >= 0 && at < groups.height)
            scroll.contentY = Math.max(Math.min(scroll.contentY, at - 8), at + reached.height + 8 - scroll.height);
    }

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            id: title
            Layout.fillWidth: true
            text: qsTr("Settings")
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        Flickable {
            id: scroll
            objectName: "settingsScroll"
            Layout.fillWidth: true
            Layout.fillHeight: true
            contentHeight: groups.implicitHeight
            onContentHeightChanged: root.showReached()
            clip: true
            boundsBehavior: Flickable.StopAtBounds
            ScrollBar.vertical: ScrollBar {}
            ColumnLayout {
                id: groups
                width: scroll.width - 12
                spacing: 22
                LookSettings { look: root.app.look }
                ModelSettings {
                    model: root.app.model
                    processor: root.app.processor
                    onFolderWanted: root.app.chooseModelFolder()
                    onCopyWanted: (text) => root.app.copy(text)
                }
                MemoryChoice { memory: root.app.memory }
                DiskSettings {
                    disk: root.app.disk
                    mover: root.app.mover
                    onFolderWanted: root.app.chooseDataFolder()
                }
            }
        }
        RowLayout {
            Layout.fillWidth: true
            Layout.rightMargin: 12
            TextButton {
                objectName: "copyReport"
                Layout.leftMargin: -14   // its words stand under the others
                text: qsTr("Copy report")
                Accessible.name: qsTr("Copy a report of this computer and the last failure, without anything of documents or chats")
                onClicked: root.app.copyReport()
            }
            Item { Layout.fillWidth: true }
            TextButton {
                id: close
                objectName: "settingsClose"
                text: qsTr("Close")
                onClicked: root.close()
            }
        }
    }
}
