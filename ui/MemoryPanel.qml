pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Where the open document's keys and values are, and what answering reads of them. Beside the chat, so that it can be
// watched while an answer is written; below the pages where those are wanted, too. Asks the engine only while it
// is seen.
Popup {
    id: root

    required property TierController tiers
    required property MemoryController memory
    required property ProcessorController processor
    signal copyWanted(string text)
    readonly property Item map: picture
    property bool below: false    // leaves the upper half to the page
    property bool asTable: false

    parent: Overlay.overlay
    x: parent ? parent.width - width : 0
    y: parent ? parent.height - height : 0
    height: parent ? (root.below ? Math.round(parent.height * 0.55) : parent.height) : 0
    padding: 0
    modal: false
    focus: true
    closePolicy: Popup.NoAutoClose   // Escape is the window's key: one that the panel took would keep the others from it
    background: Rectangle {
        color: Theme.pane
        Line {
            height: parent.height
            width: 1
        }
        Line {
            width: parent.width
            visible: root.below
        }
    }
    onOpened: picture.forceActiveFocus()
    onClosed: root.below = false

    Binding {
        target: root.tiers
        property: "watching"
        value: root.visible
    }

    component Words: Text {
        Layout.fillWidth: true
        color: Theme.muted
        font.pixelSize: Theme.small
        wrapMode: Text.Wrap
        Accessible.role: Accessible.StaticText
        Accessible.name: text
    }
    ColumnLayout {
        anchors.fill: parent
        anchors.leftMargin: Theme.pad
        spacing: 0

        // No layout in a layout: Qt 6.4 does not place the buttons anew when one of them appears or gets other words.
        Item {
            id: header
            readonly property bool stacked: heading.implicitWidth + buttons.width > width
            Layout.fillWidth: true
            Layout.preferredHeight: stacked ? heading.height + buttons.height + 12 : Theme.barHeight
            Layout.rightMargin: Theme.gap
            Text {
                id: heading
                width: header.stacked ? header.width : header.width - buttons.width
                y: header.stacked ? 12 : (header.height - height) / 2
                text: qsTr("Where the document is")
                color: Theme.text
                font.pixelSize: Theme.large
                font.weight: Font.DemiBold
                elide: Text.ElideRight
                Accessible.role: Accessible.Heading
                Accessible.name: text
            }
            Row {
                id: buttons
                anchors.right: parent.right
                y: header.stacked ? header.height - height : (header.height - height) / 2
                TextButton {
                    objectName: "wholeMemory"
                    text: root.below ? qsTr("Whole height") : qsTr("Pages")
                    Accessible.name: root.below ? qsTr("Use the whole height") : qsTr("Show the pages above")
                    onClicked: root.below = !root.below
                }
                TextButton {
                    objectName: "memoryTable"
                    visible: root.tiers.open
                    text: root.asTable ? qsTr("Map") : qsTr("Table")
                    Accessible.name: root.asTable ? qsTr("Show the map") : qsTr("Show the map as a table")
                    onClicked: root.asTable = !root.asTable
                }
                TextButton {
                    objectName: "closeMemory"
                    text: qsTr("Close")
                    onClicked: root.close()
                }
            }
        }
        Flickable {
            id: frame
            Layout.fillWidth: true
            Layout.fillHeight: true
            clip: true
            contentHeight: content.implicitHeight + Theme.pad
            boundsBehavior: Flickable.StopAtBounds
            ScrollBar.vertical: ScrollBar {}

            ColumnLayout {
                id: content
                width: frame.width - Theme.pad
                spacing: 12

                Words {
                    objectName: "notOpen"
                    visible: !root.tiers.open
                    text: qsTr("This document is not open in the engine: it is as soon as it is read or asked about.")
                    font.pixelSize: Theme.base
                }
                Flow {
                    Layout.fillWidth: true
                    visible: root.tiers.open && !root.asTable
                    spacing: 14
                    Repeater {
                        model: [
                            { colour: Theme.device, text: qsTr("Device: ready to be used") },
                            { colour: Theme.host, text: qsTr("Host: in memory") },
                            { colour: Theme.disk, text: qsTr("Disk only") },
                            { colour: Theme.arrived, text: qsTr("Just read from disk") }
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
                MemoryMap {
                    id: picture
                    objectName: "map"
                    Layout.fillWidth: true
                    Layout.preferredHeight: implicitHeight
                    visible: root.tiers.open && !root.asTable
                    room: Math.max(120, frame.height - table.height - 260)
                    tiers: root.tiers
                    onPageWanted: (row, leaf) => root.tiers.showPage(row, leaf)
                }
                RowLayout {
                    Layout.fillWidth: true
                    Layout.topMargin: -8
                    visible: picture.visible
                    Words { text: qsTr("Start of the document") }
                    Words { text: qsTr("end"); horizontalAlignment: Text.AlignRight }
                }
                Words {
                    objectName: "place"
                    Layout.preferredHeight: Theme.small * 1.35 * maximumLineCount   // whatever it says: nothing moves
                    visible: picture.visible
                    text: picture.text || qsTr("%1. A row is one layer's head; what was read a moment ago is bright. A click shows the page.").arg(root.tiers.places)
                    color: Theme.text
                    maximumLineCount: root.width < Theme.small * 34 ? 4 : 2
                    elide: Text.ElideRight
                }
                Sideways {
                    Layout.fillWidth: true
                    visible: root.tiers.open && root.asTable
                    least: Theme.small * 34
                    LayerTable {
                        objectName: "layerTable"
                        width: parent.width
                        layers: visible ? root.tiers.layers : []
                    }
                }
                Words {
                    objectName: "reads"
                    visible: root.tiers.open
                    text: root.tiers.reads
                }
                Sideways {
                    id: table
                    Layout.fillWidth: true
                    visible: root.tiers.open
                    least: Theme.small * 36
                    TierTable {
                        width: parent.width
                        tiers: root.tiers.tiers
                    }
                }
                Words {
                    objectName: "summary"
                    visible: root.tiers.open
                    text: root.tiers.summary
                }
                ProcessorRow {
                    processor: root.processor
                    onCopyWanted: (text) => root.copyWanted(text)
                }
                MemoryChoice { memory: root.memory }
            }
        }
    }
    Connections {
        target: root.tiers
        function onPageFound() {
            root.below = true;
        }
    }
}
