pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// The other chats about this document, and a list of questions to begin one with.
TextButton {
    id: root

    required property ChatController chat
    signal listWanted()

    text: qsTr("Chats (%1)").arg(root.chat.chats.length)
    Accessible.name: qsTr("Chats about this document")
    onClicked: menu.open()

    Popup {
        id: menu
        objectName: "chatMenu"
        y: root.height + 4
        x: root.width - width
        width: Math.min(Theme.base * 23, (root.Window.width || 600) - 2 * Theme.gap)
        margins: Theme.gap
        padding: Theme.gap
        focus: true
        background: Rectangle {
            radius: Theme.radius
            color: Theme.raised
            border.color: Theme.edge
        }
        ColumnLayout {
            anchors.fill: parent
            spacing: 4
            ListView {
                Layout.fillWidth: true
                Layout.preferredHeight: Math.min(contentHeight, 320)
                clip: true
                focus: true
                model: root.chat.chats
                ScrollBar.vertical: ScrollBar {}
                Accessible.role: Accessible.List
                Accessible.name: qsTr("Chats")
                delegate: ItemDelegate {
                    id: item
                    required property var modelData
                    width: ListView.view.width
                    highlighted: modelData.id === root.chat.current
                    Accessible.name: modelData.title
                    onClicked: {
                        menu.close();
                        root.chat.show(modelData.id);
                    }
                    Keys.onReturnPressed: clicked()
                    contentItem: RowLayout {
                        Text {
                            Layout.fillWidth: true
                            text: item.modelData.title
                            textFormat: Text.PlainText
                            color: Theme.text
                            font.pixelSize: Theme.base
                            font.weight: item.highlighted ? Font.DemiBold : Font.Normal
                            elide: Text.ElideRight
                        }
                        TextButton {
                            implicitWidth: implicitHeight
                            implicitHeight: Math.max(28, Theme.base * 1.7)
                            text: "\u00d7"
                            Accessible.name: qsTr("Delete the chat %1").arg(item.modelData.title)
                            onClicked: {
                                menu.close();
                                remove.chatId = item.modelData.id;
                                remove.heading = qsTr("Delete “%1”?").arg(item.modelData.title);
                                remove.open();
                            }
                        }
                    }
                    background: Rectangle {
                        radius: Theme.radius
                        color: item.hovered || item.activeFocus ? Theme.hover : "transparent"
                    }
                }
            }
            Line { Layout.fillWidth: true }
            TextButton {
                objectName: "askSeveral"
                Layout.fillWidth: true
                text: qsTr("Ask several questions…")
                onClicked: {
                    menu.close();
                    root.listWanted();
                }
                Keys.onReturnPressed: clicked()
            }
        }
    }
    ConfirmDialog {
        id: remove
        property string chatId
        body: qsTr("Its questions and answers are deleted. The document stays.")
        yes: qsTr("Delete")
        onAccepted: root.chat.forgetChat(chatId)
    }
}
