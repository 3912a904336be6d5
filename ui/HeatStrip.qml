import QtQuick
import QtQuick.Controls
import Carrel.app

// Beside the pages: how much of the attention each of them got for the answer. The mouse or the arrow keys choose a page.
HeatMap {
    id: root

    property int cell: -1      // chosen with keys; -1: none
    readonly property int pointed: hover.hovered ? root.cellAt(hover.point.position.y) : root.activeFocus ? root.cell : -1
    readonly property string summary: root.heat ? root.heat.summary : ""
    readonly property string words: {   // other answers say other things of the same cell
        root.summary;
        return root.textOf(root.pointed);
    }
    signal pageWanted(int page)

    function move(step: int) {
        root.cell = Math.max(0, Math.min(root.cells - 1, root.cell + step));
    }

    hot: Theme.accent
    cold: Theme.line
    line: Theme.muted
    visible: root.cells > 0
    activeFocusOnTab: true
    Accessible.role: Accessible.Graphic
    Accessible.focusable: true
    Accessible.name: root.summary || qsTr("Where the answer was read")
    Accessible.description: root.words
    onActiveFocusChanged: if (activeFocus && (cell < 0 || cell >= cells)) cell = 0
    Keys.onUpPressed: root.move(-1)
    Keys.onDownPressed: root.move(1)
    Keys.onPressed: (event) => {
        const page = root.pageOf(root.cell);
        if (event.key === Qt.Key_Home || event.key === Qt.Key_End)
            root.cell = event.key === Qt.Key_Home ? 0 : root.cells - 1;
        else if (page > 0 && (event.key === Qt.Key_Return || event.key === Qt.Key_Enter || event.key === Qt.Key_Space))
            root.pageWanted(page);
        else
            return;
        event.accepted = true;
    }
    HoverHandler {
        id: hover
        cursorShape: Qt.PointingHandCursor
    }
    TapHandler {
        onTapped: (point) => {
            const page = root.pageOf(root.cellAt(point.position.y));
            if (page > 0)
                root.pageWanted(page);
        }
    }
    Rectangle {   // the chosen cell
        visible: root.pointed >= 0
        x: -3
        y: root.topOf(root.pointed) - 2
        width: root.width + 6
        height: root.topOf(root.pointed + 1) - root.topOf(root.pointed) + 3
        radius: 2
        color: "transparent"
        border.width: root.activeFocus && !hover.hovered ? 2 : 1
        border.color: Theme.text
    }
    ToolTip {
        id: tip
        objectName: "heatTip"
        visible: root.pointed >= 0
        x: -width - 8
        y: Math.max(0, Math.min(root.height - height, root.topOf(root.pointed) - height / 2))
        padding: 10
        width: Math.min(300, implicitContentWidth + 2 * padding)
        contentItem: Text {
            text: root.words + (root.summary ? "\n" + root.summary : "")
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
        }
        background: Rectangle {
            radius: Theme.radius
            color: Theme.raised
            border.color: Theme.edge
        }
    }
}
