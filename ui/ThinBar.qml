import QtQuick

// Progress as a thin line.
Item {
    id: root

    required property real fraction   // 0..1

    implicitHeight: 4
    Accessible.role: Accessible.ProgressBar
    Accessible.name: qsTr("Read: %1 percent").arg(Math.round(root.fraction * 100))

    Rectangle {
        anchors.fill: parent
        radius: height / 2
        color: Theme.line
    }
    Rectangle {
        width: Math.max(height, root.width * Math.min(1, root.fraction))
        height: parent.height
        radius: height / 2
        color: Theme.accent
        Behavior on width {
            NumberAnimation { duration: Theme.quick }
        }
    }
}
