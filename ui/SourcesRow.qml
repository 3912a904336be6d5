pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts

// The places an answer was read from.
Item {
    id: root

    required property var sources     // list of {title, quote, share}
    signal opened(int index)

    implicitHeight: column.implicitHeight + 18

    ColumnLayout {
        id: column
        y: 8
        width: parent.width
        spacing: 6
        Text {
            text: qsTr("Read from")
            color: Theme.muted
            font.pixelSize: Theme.small
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        Repeater {
            model: root.sources
            SourceChip {
                required property var modelData
                required property int index
                objectName: "source" + index
                Layout.fillWidth: true
                title: modelData.title
                quote: modelData.quote
                share: modelData.share
                onClicked: root.opened(index)
            }
        }
    }
}
