pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts

// What each tier holds and what was read from it: one row a tier, and under it how full it is and has been.
ColumnLayout {
    id: root

    required property var tiers   // as TierController has them
    readonly property var keys: ["name", "used", "peak", "found", "read", "rate", "stalls"]
    readonly property var heads: [qsTr("Tier"), qsTr("Used"), qsTr("At most"), qsTr("Found"), qsTr("Read"), qsTr("Now"), qsTr("Waited")]
    readonly property var widths: [46, 0, 62, 44, 68, 62, 46]   // px at the smallest font; 0: what is left

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
                text: (cells.texts[index] ?? "").replace(/(\d) (?=[KMGTb])/g, "$1\u00a0")   // a number keeps its unit
                textFormat: Text.PlainText
                color: cells.head ? Theme.muted : Theme.text
                font.pixelSize: Theme.small
                font.weight: index === 0 && !cells.head ? Font.DemiBold : Font.Normal
                horizontalAlignment: index === 0 ? Text.AlignLeft : Text.AlignRight
                wrapMode: index === 1 ? Text.Wrap : Text.NoWrap
                elide: index === 1 ? Text.ElideNone : Text.ElideRight
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
        ColumnLayout {
            id: row
            required property int index
            readonly property var tier: root.tiers[row.index] ?? ({})
            readonly property var texts: root.keys.map(key => row.tier[key] ?? "")

            Layout.fillWidth: true
            Layout.topMargin: 4
            spacing: 3
            Accessible.role: Accessible.Row
            Accessible.name: root.heads.map((head, i) => i === 0 ? texts[0] : head + " " + texts[i]).join(", ")
            Cells {
                Layout.fillWidth: true
                texts: row.texts
            }
            Rectangle {   // used, and the most there was, of the budget
                Layout.fillWidth: true
                Layout.preferredHeight: 3
                visible: row.tier.peakShare > 0
                color: Theme.line
                Rectangle {
                    width: parent.width * (row.tier.usedShare ?? 0)
                    height: parent.height
                    color: row.index === 0 ? Theme.device : Theme.host
                }
                Rectangle {
                    x: Math.min(parent.width - width, parent.width * (row.tier.peakShare ?? 0))
                    width: 2
                    height: parent.height
                    color: Theme.text
                }
            }
        }
    }
}
