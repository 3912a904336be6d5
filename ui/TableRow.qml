pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// A table of an answer: hairlines between rows, the head in bold.
Item {
    id: root

    required property int columns
    required property var cells     // list of html, row by row

    implicitHeight: grid.implicitHeight + 14

    Flickable {
        width: root.width
        height: grid.implicitHeight
        contentWidth: grid.width
        contentHeight: grid.implicitHeight
        clip: true
        boundsBehavior: Flickable.StopAtBounds
        flickableDirection: Flickable.HorizontalFlick
        ScrollBar.horizontal: ScrollBar {}

        GridLayout {
            id: grid
            width: Math.max(root.width, root.columns * 72)
            columns: Math.max(1, root.columns)
            columnSpacing: 0
            rowSpacing: 0
            Repeater {
                model: root.cells
                Item {
                    id: cell
                    required property string modelData
                    required property int index
                    readonly property bool head: index < root.columns
                    Layout.fillWidth: true
                    Layout.fillHeight: true
                    Layout.preferredWidth: Math.min(words.implicitWidth, 320) + 20
                    implicitHeight: words.height + 14
                    Text {
                        id: words
                        x: cell.index % root.columns === 0 ? 2 : 10
                        y: 7
                        width: parent.width - x - 6
                        text: Theme.styled(cell.head ? "<b>" + cell.modelData + "</b>" : cell.modelData)
                        textFormat: Text.RichText
                        wrapMode: Text.WrapAtWordBoundaryOrAnywhere
                        color: cell.head ? Theme.muted : Theme.text
                        font.pixelSize: cell.head ? Theme.small : Theme.base
                        Accessible.ignored: true
                    }
                    Line {
                        anchors.bottom: parent.bottom
                        width: parent.width
                        height: cell.head ? 2 : 1
                    }
                }
            }
        }
    }
}
