pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts

// The map's numbers in words, a row for each layer.
ColumnLayout {
    id: root

    required property var layers   // as TierController has them
    readonly property var keys: ["name", "device", "host", "disk", "reads", "fromHost", "fromDisk"]
    readonly property var heads: [qsTr("Layer"), qsTr("Device"), qsTr("Host"), qsTr("Disk only"), qsTr("Reads"), qsTr("From host"), qsTr("From disk")]

    spacing: 2

    component Cells: RowLayout {
        id: cells

        required property var texts
        property bool head: false

        spacing: 6
        Repeater {
            model: root.keys.length
            Text {
                required property int index
                Layout.fillWidth: true
                Layout.fillHeight: true
                Layout.preferredWidth: 10   // all alike
                text: cells.texts[index] ?? ""
                textFormat: Text.PlainText
                color: cells.activeFocus ? Theme.accent : cells.head ? Theme.muted : Theme.text
                font.pixelSize: Theme.small
                horizontalAlignment: index === 0 ? Text.AlignLeft : Text.AlignRight
                wrapMode: cells.head ? Text.Wrap : Text.NoWrap
                verticalAlignment: Text.AlignBottom
                elide: Text.ElideRight
                Accessible.ignored: true
            }
        }
    }
    Cells {
        Layout.fillWidth: true
        head: true
        texts: root.heads
    }
    Line { Layout.fillWidth: true }
    Repeater {
        model: root.layers.length
        Cells {
            id: row
            required property int index
            Layout.fillWidth: true
            activeFocusOnTab: true
            texts: root.keys.map(key => root.layers[row.index] ? root.layers[row.index][key] : "")
            Accessible.role: Accessible.Row
            Accessible.focusable: true
            Accessible.name: root.heads.map((head, i) => i === 0 ? texts[0] : head + " " + texts[i]).join(", ")
        }
    }
}
