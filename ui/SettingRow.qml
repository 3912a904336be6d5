import QtQuick
import QtQuick.Layouts

// One setting: its name and what it means at the left, its controls at the right, or below where there is no room.
GridLayout {
    id: root

    required property string name
    property string hint
    default property alias controls: box.data

    Layout.fillWidth: true
    columns: root.width > box.implicitWidth + Theme.base * 9 ? 2 : 1
    columnSpacing: Theme.pad
    rowSpacing: 4
    ColumnLayout {
        spacing: 2
        Text {
            Layout.fillWidth: true
            text: root.name
            color: Theme.text
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
        }
        Text {
            Layout.fillWidth: true
            visible: text !== ""
            text: root.hint
            textFormat: Text.PlainText
            color: Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
        }
    }
    RowLayout {
        id: box
        Layout.alignment: Qt.AlignTop
        Layout.fillWidth: false
        Layout.maximumWidth: root.width
    }
}
