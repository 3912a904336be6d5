import QtQuick
import Carrel.app

// The mouse on the pages: it chooses words, follows links, and shows which of the two it would do. It lies under the
// pages of a list, so that what is on them comes first; a finger goes on to the list, which it moves.
MouseArea {
    id: root

    required property PagesController pages
    required property ListView list
    required property real scaling   // device-independent pixels a point
    property point pressPlace
    property int pressPage: 0
    property int clicks: 0
    property real pressTime: 0
    property bool dragging: false
    signal menuWanted()

    // The page (from 1) under a place of the content, or the one nearest below or above it.
    function pageAt(y: real): int {
        const middle = list.contentWidth / 2;
        for (const off of [0, list.spacing + 1, -list.spacing - 1]) {
            const row = list.indexAt(middle, y + off);
            if (row >= 0)
                return row + 1;
        }
        return 0;
    }
    function pointOn(page: int, x: real, y: real): point {
        const item = list.itemAtIndex(page - 1);
        return item ? Qt.point((x - item.x) / scaling, (y - item.y) / scaling) : Qt.point(0, 0);
    }
    function drag() {
        const x = mouseX + root.x, y = Math.max(list.contentY, Math.min(mouseY + root.y, list.contentY + list.height - 1));
        const page = pageAt(y);
        if (page > 0)
            pages.selection.extend(page, pointOn(page, x, y));
    }

    parent: list.contentItem
    z: -1
    x: list.originX
    y: list.originY
    width: list.contentWidth
    height: list.contentHeight
    enabled: pages.hasPages
    acceptedButtons: Qt.LeftButton | Qt.RightButton
    hoverEnabled: true
    preventStealing: true
    onPressed: (mouse) => {
        if (mouse.source !== Qt.MouseEventNotSynthesized) {
            mouse.accepted = false;
            return;
        }
        list.forceActiveFocus(Qt.MouseFocusReason);
        dragging = false;
        if (mouse.button === Qt.RightButton) {
            clicks = 0;
            root.menuWanted();
            return;
        }
        const page = pageAt(mouse.y + root.y);
        const place = pointOn(page, mouse.x + root.x, mouse.y + root.y);
        const near = page === pressPage && Math.abs(place.x - pressPlace.x) + Math.abs(place.y - pressPlace.y) < 5;
        const again = near && Date.now() - pressTime < Application.styleHints.mouseDoubleClickInterval;
        clicks = again ? clicks % 3 + 1 : 1;
        pressTime = Date.now();
        pressPage = page;
        pressPlace = place;
        if (clicks > 1)
            pages.selection.begin(page, place, clicks === 2 ? PageSelection.Word : PageSelection.Line);
        else if (mouse.modifiers & Qt.ShiftModifier)
            pages.selection.extend(page, place);
    }
    onPositionChanged: (mouse) => {
        const x = mouse.x + root.x, y = mouse.y + root.y;
        const page = pageAt(y);
        if (!pressed) {
            const shape = pages.shapeAt(page, pointOn(page, x, y));
            cursorShape = shape === Qt.IBeamCursor ? Qt.IBeamCursor : shape === Qt.PointingHandCursor ? Qt.PointingHandCursor : Qt.ArrowCursor;
            return;
        }
        if (clicks === 0)
            return;
        const place = pointOn(page, x, y);
        if (!dragging && page === pressPage && Math.abs(place.x - pressPlace.x) + Math.abs(place.y - pressPlace.y) < 3)
            return;
        if (!dragging && clicks === 1 && !(mouse.modifiers & Qt.ShiftModifier))
            pages.selection.begin(pressPage, pressPlace, PageSelection.Word);
        dragging = true;
        drag();
    }
    onReleased: (mouse) => {
        const moved = dragging;
        dragging = false;
        if (moved || clicks !== 1 || mouse.modifiers & Qt.ShiftModifier)
            return;
        pages.selection.clear();
        pages.navigator.followLink(pressPage, pressPlace);
    }
    onCanceled: dragging = false
    Timer {   // held above or below the pages, they move on
        readonly property real out: Math.min(0, root.mouseY + root.y - root.list.contentY) + Math.max(0, root.mouseY + root.y - root.list.contentY - root.list.height)
        interval: 30
        repeat: true
        running: root.dragging && out !== 0
        onTriggered: {
            const last = root.list.originY + root.list.contentHeight - root.list.height;
            root.list.contentY = Math.max(root.list.originY, Math.min(last, root.list.contentY + out / 3));
            root.drag();
        }
    }
}
