import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// Every key that does something, and what it does.
Popup {
    id: root

    required property var keys   // [{sequences, text}]
    readonly property var others: [
        { sequences: ["Return"], text: qsTr("Ask; Shift+Return begins a line") },
        { sequences: ["Del"], text: qsTr("Forget the chosen document") },
        { sequences: ["PgUp", "PgDown"], text: qsTr("Go through the pages") },
        { sequences: ["Ctrl+A", "Shift+→"], text: qsTr("Choose the page's words, or one more") },
        { sequences: ["L", "Shift+L"], text: qsTr("On the pages: choose the next link, or the one before") },
        { sequences: ["Return"], text: qsTr("On the pages: follow the link in the chosen words") },
        { sequences: ["Ctrl+C"], text: qsTr("Copy the chosen words") },
        { sequences: ["Tab", "Shift+Tab"], text: qsTr("Go from one thing to the next") }
    ]

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 37, parent ? parent.width - 48 : 520)
    height: Math.min(list.contentHeight + Theme.large + 80, parent ? parent.height - 48 : 500)
    padding: 24
    modal: true
    focus: true
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: list.forceActiveFocus()

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: qsTr("Keys")
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        ListView {
            id: list
            objectName: "keys"
            Layout.fillWidth: true
            Layout.fillHeight: true
            clip: true
            focus: true
            boundsBehavior: Flickable.StopAtBounds
            model: root.keys.concat(root.others)
            ScrollBar.vertical: ScrollBar {}
            Keys.onUpPressed: flick(0, 700)
            Keys.onDownPressed: flick(0, -700)
            Accessible.role: Accessible.List
            Accessible.name: qsTr("Keys")
            delegate: RowLayout {
                id: row
                required property var modelData
                readonly property string names: modelData.sequences.join(qsTr(" or "))
                width: ListView.view.width
                height: Math.max(Theme.base * 2, what.implicitHeight + 8)
                spacing: Theme.pad
                Accessible.role: Accessible.ListItem
                Accessible.name: row.names + ": " + row.modelData.text
                Text {
                    Layout.preferredWidth: Theme.base * 10.5
                    text: row.names
                    color: Theme.accent
                    font.pixelSize: Theme.base
                    elide: Text.ElideRight
                }
                Text {
                    id: what
                    Layout.fillWidth: true
                    text: row.modelData.text
                    color: Theme.text
                    font.pixelSize: Theme.base
                    wrapMode: Text.Wrap
                }
            }
        }
    }
}
