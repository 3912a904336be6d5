pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Names the model; a click offers the others, says how each suits this computer and why one cannot be used.
AbstractButton {
    id: root

    required property ModelController model
    signal otherWanted()

    objectName: "model"
    implicitHeight: Math.max(60, implicitContentHeight + 2 * Theme.gap)
    padding: 0
    focusPolicy: Qt.StrongFocus
    Accessible.name: qsTr("Model: %1").arg(root.model.name)
    Accessible.description: root.model.note
    onClicked: {
        root.model.lookAround();
        choices.open();
    }
    contentItem: ColumnLayout {
        spacing: 2
        Item { Layout.fillHeight: true }
        Text {
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            text: qsTr("Model")
            color: Theme.muted
            font.pixelSize: Theme.small
        }
        Text {
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.gap
            text: root.model.name
            textFormat: Text.PlainText
            color: root.model.state === ModelController.Failed ? Theme.warningText : Theme.text
            font.pixelSize: Theme.small
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
            maximumLineCount: 2
            elide: Text.ElideRight
        }
        Text {
            objectName: "modelNote"
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.gap
            visible: root.model.note !== ""
            text: root.model.note
            textFormat: Text.PlainText
            color: Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
            maximumLineCount: 3
            elide: Text.ElideRight
        }
        Item { Layout.fillHeight: true }
    }
    background: Rectangle {
        color: root.hovered ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 0
        border.color: Theme.accent
    }

    Popup {
        id: choices
        y: -height - 4
        x: Theme.gap
        width: Math.min(Theme.base * 32, (root.Window.width || 600) - 2 * Theme.gap)
        padding: Theme.gap
        focus: true
        background: Rectangle {
            radius: Theme.radius
            color: Theme.raised
            border.color: Theme.edge
        }
        ColumnLayout {
            anchors.fill: parent
            spacing: 2
            Text {
                Layout.fillWidth: true
                Layout.margins: Theme.gap
                visible: root.model.looking && list.count === 0
                text: qsTr("Looking for language models on this computer…")
                color: Theme.muted
                font.pixelSize: Theme.base
                wrapMode: Text.Wrap
            }
            ModelList {
                id: list
                Layout.fillWidth: true
                focus: true
                controller: root.model
                seen: choices.visible
                mostHeight: (root.Window.height || 600) - Theme.base * 10
                onTaken: choices.close()
            }
            TextButton {
                Layout.fillWidth: true
                text: qsTr("Another GGUF file…")
                onClicked: {
                    choices.close();
                    root.otherWanted();
                }
            }
        }
    }
}
