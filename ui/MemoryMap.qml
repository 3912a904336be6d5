import QtQuick
import Carrel.app

// The picture of the tiers. The mouse or the arrow keys choose a cell of it, which is framed and named; a click or
// Enter shows its page.
TierMap {
    id: root

    property int row: -1      // chosen with keys; -1: none
    property int leaf: 0
    readonly property bool byMouse: hover.hovered
    readonly property int atRow: byMouse ? rowAt(hover.point.position.y) : activeFocus ? row : -1
    readonly property int atLeaf: byMouse ? leafAt(hover.point.position.x) : leaf
    property int revision: 0  // the words and the frame change with the engine's counters, not only with the place
    readonly property string text: {
        root.revision;
        return root.textOf(root.atRow, root.atLeaf);
    }
    readonly property rect frame: {
        root.revision;
        return root.cellRect(root.atRow, root.atLeaf);
    }
    signal pageWanted(row: int, leaf: int)

    function move(down: int) {
        root.row = Math.max(0, Math.min(root.rows - 1, root.row + down));
    }
    function step(right: int) {
        root.row = Math.max(0, root.row);
        root.leaf = root.next(root.row, root.leaf, right);
    }

    device: Theme.device
    host: Theme.host
    disk: Theme.disk
    arrived: Theme.arrived
    paper: Theme.pane
    activeFocusOnTab: true
    Accessible.role: Accessible.Graphic
    Accessible.focusable: true
    Accessible.name: qsTr("Map of the memory: %1 rows, one for each layer's heads. %2").arg(root.rows).arg(root.tiers ? root.tiers.places : "")
    Accessible.description: root.text
    Accessible.onPressAction: root.pageWanted(root.row, root.leaf)
    Keys.onUpPressed: root.move(-1)
    Keys.onDownPressed: root.move(1)
    Keys.onLeftPressed: root.step(-1)
    Keys.onRightPressed: root.step(1)
    Keys.onReturnPressed: root.pageWanted(root.row, root.leaf)
    Keys.onEnterPressed: root.pageWanted(root.row, root.leaf)
    Keys.onPressed: (event) => {
        if (event.key === Qt.Key_Home || event.key === Qt.Key_End) {
            root.leaf = event.key === Qt.Key_Home ? 0 : root.next(root.row, root.leafAt(root.width - 1), -1);
            event.accepted = true;
        }
    }

    HoverHandler {
        id: hover
        cursorShape: Qt.PointingHandCursor
    }
    TapHandler {
        onTapped: (point) => {
            root.row = root.rowAt(point.position.y);
            root.leaf = root.leafAt(point.position.x);
            root.forceActiveFocus(Qt.MouseFocusReason);
            root.pageWanted(root.row, root.leaf);
        }
    }
    Connections {
        target: root.tiers
        function onWordsChanged() {
            ++root.revision;
        }
    }
    Rectangle {
        visible: root.frame.height > 0
        x: Math.min(root.frame.x - 2, root.width - width)
        y: root.frame.y - 2
        width: Math.max(8, root.frame.width + 4)
        height: root.frame.height + 4
        color: "transparent"
        border.width: 2
        border.color: Theme.text
    }
}
