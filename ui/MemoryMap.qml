import QtQuick
import Carrel.app

// The picture of the tiers, with a place on it that the mouse or the arrow keys choose.
TierMap {
    id: root

    property int row: -1      // chosen with keys; -1: none
    property real share: 0    // of the document, 0..1
    readonly property bool byMouse: hover.hovered
    // The words change with the engine's counters, not only with the place.
    readonly property string text: {
        root.revision;
        if (root.byMouse)
            return root.textAt(root.rowAt(hover.point.position.y), hover.point.position.x);
        return root.activeFocus && root.row >= 0 ? root.textAt(root.row, root.share * (root.width - 1)) : "";
    }
    property int revision: 0

    function move(down: int, right: real) {
        root.row = Math.max(0, Math.min(root.rows - 1, root.row + down));
        root.share = Math.max(0, Math.min(1, root.share + right));
    }

    device: Theme.device
    host: Theme.host
    disk: Theme.disk
    paper: Theme.pane
    activeFocusOnTab: true
    Accessible.role: Accessible.Graphic
    Accessible.focusable: true
    Accessible.name: qsTr("%1 rows, one for each layer's heads. %2").arg(root.rows).arg(root.tiers ? root.tiers.places : "")
    Accessible.description: root.text
    Keys.onUpPressed: root.move(-1, 0)
    Keys.onDownPressed: root.move(1, 0)
    Keys.onLeftPressed: root.move(0, -0.02)
    Keys.onRightPressed: root.move(0, 0.02)

    HoverHandler { id: hover }
    Connections {
        target: root.tiers
        function onChanged() {
            ++root.revision;
        }
    }
    Rectangle {
        visible: root.activeFocus && root.row >= 0 && root.row < root.rows
        x: Math.round(root.share * (root.width - width))
        y: root.row * root.rowHeight - 2
        width: 8
        height: root.rowHeight + 4
        color: "transparent"
        border.width: 2
        border.color: Theme.text
    }
}
