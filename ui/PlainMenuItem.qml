import QtQuick
import QtQuick.Controls

// An entry of a menu; one that can be checked has its mark at the left.
MenuItem {
    id: root

    readonly property real markWidth: root.checkable ? Theme.base * 1.5 : 0

    implicitWidth: implicitContentWidth + leftPadding + rightPadding
    implicitHeight: Math.max(32, Theme.base * 2.1)
    leftPadding: 10
    rightPadding: 14
    topPadding: 0
    bottomPadding: 0
    indicator: Text {
        x: root.leftPadding
        anchors.verticalCenter: parent ? parent.verticalCenter : undefined
        visible: root.checkable && root.checked
        text: "\u2713"
        color: Theme.accent
        font.pixelSize: Theme.base
    }
    contentItem: Text {
        leftPadding: root.markWidth
        text: root.text
        color: Theme.text
        opacity: root.enabled ? 1 : 0.45
        font.pixelSize: Theme.base
        verticalAlignment: Text.AlignVCenter
    }
    background: Rectangle {
        radius: Theme.radius - 2
        color: root.highlighted ? Theme.hover : "transparent"
    }
}
