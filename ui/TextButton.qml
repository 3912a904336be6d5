import QtQuick
import QtQuick.Controls

// A button of words. Primary ones are filled.
AbstractButton {
    id: root

    property bool primary: false

    implicitHeight: Math.max(32, Theme.base * 2.1)
    padding: 0
    implicitWidth: implicitContentWidth + 28
    focusPolicy: Qt.StrongFocus
    opacity: enabled ? 1 : 0.45
    Accessible.name: root.text
    Accessible.role: Accessible.Button
    HoverHandler {
        cursorShape: Qt.PointingHandCursor
    }
    contentItem: Text {
        text: root.text
        color: root.primary ? Theme.accentText : Theme.accent
        font.pixelSize: Theme.base
        font.weight: root.primary ? Font.DemiBold : Font.Normal
        horizontalAlignment: Text.AlignHCenter
        verticalAlignment: Text.AlignVCenter
        elide: Text.ElideRight
    }
    background: Rectangle {
        radius: Theme.radius
        color: root.primary ? Theme.accent : root.down ? Theme.line : root.hovered ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 0
        border.color: root.primary ? Theme.text : Theme.accent
    }
}
