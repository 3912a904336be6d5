pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts

// What each tier holds and what was read from it: one row a tier.
ColumnLayout {
    id: root

    required property var tiers   // as TierController has them
    readonly property var keys: ["name", "used", "found", "read", "rate", "stalls"]
    readonly property var heads: [qsTr("Tier"), qsTr("Used"), qsTr("Found"), qsTr("Read"), qsTr("Now"), qsTr("Waited")]
    readonly property var widths: [48, 0, 48, 68, 66, 48]   // px at the smallest font; 0: what is left

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
                Layout.fillWidth: root.widths[index] === 0
                Layout.preferredWidth: root.widths[index] * Theme.small / 12
                text: cells.texts[index] ?? ""
                textFormat: Text.PlainText
                color: cells.head ? Theme.muted : Theme.text
                font.pixelSize: Theme.small
                font.weight: index === 0 && !cells.head ? Font.DemiBold : Font.Normal
                horizontalAlignment: index === 0 ? Text.AlignLeft : Text.AlignRight
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
        model: root.tiers.length
        Cells {
            id: row
            required property int index
            Layout.fillWidth: true
            Layout.topMargin: 4
            texts: root.keys.map(key => root.tiers[row.index] ? root.tiers[row.index][key] : "")
            Accessible.role: Accessible.Row
            Accessible.name: root.heads.map((head, i) => i === 0 ? texts[0] : head + " " + texts[i]).join(", ")
        }
    }
}
