pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Where the open document's keys and values are, and what answering reads of them. Beside the chat, so that it can be
// watched while an answer is written; asks the engine only while it is seen.
Popup {
    id: root

    required property TierController tiers
    readonly property Item map: picture

    parent: Overlay.overlay
    x: parent ? parent.width - width : 0
    height: parent ? parent.height : 0
    padding: 0
    modal: false
    focus: true
    closePolicy: Popup.CloseOnEscape
    background: Rectangle {
        color: Theme.pane
        Line {
            height: parent.height
            width: 1
        }
    }
    onOpened: picture.forceActiveFocus()

    Binding {
        target: root.tiers
        property: "watching"
        value: root.visible
    }

    ColumnLayout {
        anchors.fill: parent
        anchors.leftMargin: Theme.pad
        anchors.rightMargin: Theme.pad
        anchors.bottomMargin: Theme.pad
        spacing: 12

        RowLayout {
            Layout.fillWidth: true
            Layout.preferredHeight: Theme.barHeight
            Layout.rightMargin: -Theme.gap
            Text {
                Layout.fillWidth: true
                text: qsTr("Where the document is")
                color: Theme.text
                font.pixelSize: Theme.large
                font.weight: Font.DemiBold
                Accessible.role: Accessible.Heading
                Accessible.name: text
            }
            TextButton {
                objectName: "closeMemory"
                text: qsTr("Close")
                onClicked: root.close()
            }
        }
        Text {
            objectName: "notOpen"
            Layout.fillWidth: true
            visible: !root.tiers.open
            text: qsTr("This document is not open in the engine: it is as soon as it is read or asked about.")
            color: Theme.muted
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        Item {
            Layout.fillHeight: true
            visible: !root.tiers.open
        }
        Flow {
            Layout.fillWidth: true
            visible: root.tiers.open
            spacing: 14
            Repeater {
                model: [
                    { colour: Theme.device, text: qsTr("Device: ready to be used") },
                    { colour: Theme.host, text: qsTr("Host: in memory") },
                    { colour: Theme.disk, text: qsTr("Disk only") }
                ]
                Row {
                    id: sign
                    required property var modelData
                    spacing: 6
                    Rectangle {
                        anchors.verticalCenter: parent.verticalCenter
                        width: 12
                        height: 12
                        radius: 3
                        color: sign.modelData.colour
                    }
                    Text {
                        text: sign.modelData.text
                        color: Theme.text
                        font.pixelSize: Theme.small
                    }
                }
            }
        }
        Flickable {
            id: frame
            Layout.fillWidth: true
            Layout.fillHeight: true
            Layout.minimumHeight: 80
            Layout.maximumHeight: Math.max(80, picture.implicitHeight)
            visible: root.tiers.open
            clip: true
            contentHeight: picture.implicitHeight
            boundsBehavior: Flickable.StopAtBounds
            ScrollBar.vertical: ScrollBar {}

            MemoryMap {
                id: picture
                objectName: "map"
                width: frame.width
                room: frame.parent.height - table.height - 220
                tiers: root.tiers
            }
        }
        RowLayout {
            Layout.fillWidth: true
            Layout.topMargin: -8
            visible: root.tiers.open
            Text {
                Layout.fillWidth: true
                text: qsTr("Start of the document")
                color: Theme.muted
                font.pixelSize: Theme.small
            }
            Text {
                text: qsTr("end")
                color: Theme.muted
                font.pixelSize: Theme.small
            }
        }
        Text {
            objectName: "place"
            Layout.fillWidth: true
            Layout.preferredHeight: Theme.small * 2.8
            visible: root.tiers.open
            text: picture.text || qsTr("%1. A row is one layer's head; strong colour was read lately.").arg(root.tiers.places)
            color: Theme.text
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
            maximumLineCount: 2
            elide: Text.ElideRight
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        TierTable {
            id: table
            Layout.fillWidth: true
            visible: root.tiers.open
            tiers: root.tiers.tiers
        }
        Text {
            objectName: "summary"
            Layout.fillWidth: true
            visible: root.tiers.open
            text: root.tiers.summary
            color: Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        Item {
            Layout.fillHeight: true
            Layout.preferredHeight: 0
            visible: root.tiers.open
        }
    }
}
