import QtQuick
import QtQuick.Layouts

// Settings that belong together, under a heading.
ColumnLayout {
    id: root

    required property string title

    Layout.fillWidth: true
    spacing: 10
    Text {
        Layout.fillWidth: true
        text: root.title
        color: Theme.muted
        font.pixelSize: Theme.small
        font.weight: Font.DemiBold
        elide: Text.ElideRight
        Accessible.role: Accessible.Heading
        Accessible.name: text
    }
}
