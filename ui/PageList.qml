pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import Carrel.app

// The pages under each other, or a text's paragraphs: where it is scrolled to, how large, and what the keyboard does.
ListView {
    id: root

    required property PagesController pages
    required property PageHeat heat
    readonly property bool dragging: pointer.dragging
    signal zoomWanted(int steps)
    signal copyWanted(string text)
    signal menuWanted()

    readonly property int shownPage: Math.max(1, indexAt(contentWidth / 2, contentY + Math.min(height, contentHeight) * 0.4) + 1)
    readonly property real roomWidth: Math.max(120, width - 2 * Theme.pad - (strip.visible ? 2 * strip.width : 0))
    readonly property size widest: root.pages.widestPage
    property string fit: "width"   // or "page", or "" where scaling was chosen
    property real chosen: 1
    // Device-independent pixels a point; one everywhere, so that pages are as large beside each other as on paper.
    readonly property real scaling: {
        const width = roomWidth / Math.max(1, widest.width);
        const page = Math.min(width, Math.max(120, height - 24) / Math.max(1, widest.height));
        return fit === "width" ? width : fit === "page" ? page : chosen * 96 / 72;
    }
    readonly property real zoom: scaling * 72 / 96
    property real drawnScaling: 0  // what images are asked for at; settles after a change

    // What is in the middle stays there.
    function resize(to: string, level: real) {
        const row = Math.max(0, indexAt(contentWidth / 2, contentY + height / 2));
        const item = itemAtIndex(row);
        const down = item ? (contentY + height / 2 - item.y) / item.height : 0;
        const across = (contentX + width / 2) / contentWidth;
        chosen = level;
        fit = to;
        forceLayout();
        show(row, down, 0.5);
        contentX = Math.max(0, Math.min(across * contentWidth - width / 2, contentWidth - width));
        kept = place(0.3);
    }
    // A row and how far down it: stays at that part of the window when a pane's new width makes pages larger or smaller.
    property point kept
    // The row at a part of the window's height, and how far down that row.
    function place(at: real): point {
        const y = contentY + height * at;
        const row = Math.max(0, indexAt(contentWidth / 2, y), indexAt(contentWidth / 2, y + spacing + 1));
        const item = itemAtIndex(row);
        return Qt.point(row, item ? Math.max(0, (y - item.y) / item.height) : 0);
    }
    function leave() {
        const left = place(0.3);
        root.pages.navigator.leave(left.x, left.y);
    }
    // Brings a place down the height of a row to a part of the window's height.
    function show(row: int, down: real, at: real) {
        positionViewAtIndex(row, ListView.Beginning);
        const item = itemAtIndex(row);
        const wanted = contentY + (item ? item.height * down : 0) - height * at;
        const last = originY + contentHeight + bottomMargin - height;
        contentY = Math.max(originY - topMargin, Math.min(wanted, last));
    }
    // Of a page that is wider than the window, the part with the first mark.
    function showAcross(row: int, marks: var) {
        const item = itemAtIndex(row);
        if (item === null || marks.length === 0 || contentWidth <= width)
            return;
        const left = item.x + marks[0].x * scaling;
        if (left < contentX || left + marks[0].width * scaling > contentX + width)
            contentX = Math.max(0, Math.min(left - Theme.pad, contentWidth - width));
    }

    property PageItem chosenText: null   // the paragraph in which words are chosen
    function textChosen(item: PageItem, text: string) {
        if (text !== "") {
            if (chosenText !== null && chosenText !== item)
                chosenText.forgetChoice();
            chosenText = item;
            forceActiveFocus(Qt.MouseFocusReason);
        } else if (chosenText !== item) {
            return;
        }
        root.pages.selection.chooseText(text);
    }

    focus: true
    activeFocusOnTab: true
    clip: true
    spacing: root.pages.hasPages ? 12 : 0
    topMargin: 12
    bottomMargin: 12
    cacheBuffer: Math.max(400, widest.height * scaling)   // a page ahead is drawn
    boundsBehavior: Flickable.StopAtBounds
    model: root.pages.pages
    contentWidth: Math.max(width, root.pages.hasPages ? widest.width * scaling + 2 * Theme.pad : 0)
    flickableDirection: Flickable.AutoFlickIfNeeded
    onScalingChanged: {
        settle.restart();
        still.restart();
    }
    onContentYChanged: rest.restart()
    ScrollBar.vertical: ScrollBar { id: scrolling }
    ScrollBar.horizontal: ScrollBar {}
    Accessible.role: Accessible.Document
    Accessible.name: qsTr("Document pages")
    Keys.onPressed: (event) => event.accepted = keyed(event.key, event.modifiers & Qt.ShiftModifier, event.modifiers & Qt.ControlModifier)
    function keyed(key: int, shift: bool, control: bool): bool {
        const step = key === Qt.Key_PageUp ? -1 : key === Qt.Key_PageDown ? 1 : 0;
        const words = root.pages.selection;
        const end = words.end;
        if (step !== 0)
            positionViewAtIndex(Math.max(0, Math.min(count - 1, shownPage - 1 + step)), ListView.Beginning);
        else if (control && key === Qt.Key_A)
            words.selectPage(shownPage);
        else if (control && key === Qt.Key_C && words.any)
            root.copyWanted(words.text());
        else if (key === Qt.Key_Escape && words.any)
            words.clear();
        else if (key === Qt.Key_Return && words.any)
            return root.pages.navigator.followLink(words.page, Qt.point(end.x + end.width / 2, end.y + end.height / 2));
        else if (shift && (key === Qt.Key_Right || key === Qt.Key_Left))
            words.step(key === Qt.Key_Right ? PageSelection.NextWord : PageSelection.PreviousWord, shownPage);
        else if (shift && (key === Qt.Key_Down || key === Qt.Key_Up))
            words.step(key === Qt.Key_Down ? PageSelection.NextLine : PageSelection.PreviousLine, shownPage);
        else if (key === Qt.Key_L && !control)
            root.pages.nextLink(shift ? -1 : 1, shownPage);
        else if (key === Qt.Key_Down || key === Qt.Key_Up)
            flick(0, key === Qt.Key_Down ? -700 : 700);
        else
            return false;
        return true;
    }
    HeatStrip {
        id: strip
        objectName: "heatStrip"
        parent: root
        z: 1
        anchors {
            right: parent.right
            rightMargin: scrolling.width + 2
            top: parent.top
            topMargin: 6
            bottom: parent.bottom
            bottomMargin: 6
        }
        width: 11
        heat: root.heat
        onPageWanted: (page) => {
            root.leave();
            root.positionViewAtIndex(page - 1, ListView.Beginning);
        }
    }
    Timer {
        id: settle
        interval: root.drawnScaling === 0 ? 1 : 200
        onTriggered: root.drawnScaling = root.scaling
    }
    Timer {
        id: still   // once all have their new size
        interval: 0
        onTriggered: if (root.count > 0) root.show(root.kept.x, root.kept.y, 0.3)
    }
    Timer {
        id: rest   // of scrolling: where the pages will be shown the next time
        interval: 150
        onTriggered: {
            if (root.count === 0)
                return;
            root.kept = root.place(0.3);
            root.pages.placeLeft(root.pages.document, root.kept.x, root.kept.y);
        }
    }
    WheelHandler {
        acceptedModifiers: Qt.ControlModifier
        onWheel: (event) => root.zoomWanted(event.angleDelta.y > 0 ? 1 : -1)
    }
    PagePointer {
        id: pointer
        pages: root.pages
        list: root
        scaling: root.scaling
        onMenuWanted: root.menuWanted()
    }
    delegate: PageItem {
        id: item
        anchors.horizontalCenter: parent?.horizontalCenter   // not x: with later Qt the list sets it
        width: page > 0 ? Math.max(40, pointWidth * root.scaling) : root.roomWidth
        document: root.pages.document
        imageWidth: pointWidth * root.drawnScaling
        onTextChosen: (text) => root.textChosen(item, text)
        marks: page > 0 && page === root.pages.markedPage ? root.pages.marks : []
    }
    Connections {
        target: root.pages.selection
        function onChanged() {
            if (!root.pages.selection.any && root.chosenText !== null)
                root.chosenText.forgetChoice();
        }
    }
    Connections {
        target: root.pages
        function onDocumentChanged() {
            root.kept = Qt.point(0, 0);
        }
        function onPlaceWanted(row: int, down: real, jump: bool) {
            if (jump)
                root.leave();
            root.kept = Qt.point(row, down);
            root.show(row, down, 0.3);
            root.showAcross(row, root.pages.marks);
        }
        function onLinkChosen(row: int, down: real) {
            const item = root.itemAtIndex(row);
            const top = item ? item.y + item.height * down - root.contentY : -1;
            if (top < 0 || top > root.height - 3 * Theme.base)
                root.show(row, down, 0.3);
            root.showAcross(row, [root.pages.selection.end]);
        }
    }
}
