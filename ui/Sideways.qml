import QtQuick
import QtQuick.Controls

// Holds what may be wider than its pane at large sizes: it scrolls sideways then, by the arrow keys of what is in it, too.
Flickable {
    id: root

    required property real least   // width the content needs
    readonly property bool scrolls: root.least > root.width

    implicitHeight: contentHeight + (root.scrolls ? 12 : 0)
    contentWidth: Math.max(root.width, root.least)
    contentHeight: contentItem.childrenRect.height
    clip: true
    boundsBehavior: Flickable.StopAtBounds
    flickableDirection: Flickable.HorizontalFlick
    activeFocusOnTab: root.scrolls
    Accessible.role: Accessible.Table
    Accessible.name: qsTr("Table, wider than its place")
    Keys.onLeftPressed: root.contentX = Math.max(0, root.contentX - 80)
    Keys.onRightPressed: root.contentX = Math.min(root.contentWidth - root.width, root.contentX + 80)
    ScrollBar.horizontal: ScrollBar {
        policy: root.scrolls ? ScrollBar.AlwaysOn : ScrollBar.AlwaysOff
    }
}
