pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Right: the document itself, scrolled to where an answer was read.
FocusScope {
    id: root

    required property PagesController pages
    required property PageHeat heat
    readonly property Item view: list
    signal copyWanted(string text)
    signal askWanted(string quotation)

    function zoom(steps: int) {
        const levels = [0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4];
        let to = 0;
        for (let i = 0; i < levels.length; ++i)
            if (steps < 0 ? levels[i] < list.zoom * 0.99 : to === 0 && levels[i] > list.zoom * 1.01)
                to = levels[i];
        if (to > 0)
            list.resize("", to);
    }
    function fit(to: string) {
        list.resize(to, list.zoom);
    }
    function find() {
        if (list.count === 0)
            return;
        finding.visible = true;
        finding.edit();
    }
    function choosePage() {
        if (root.pages.hasPages)
            bar.edit();
    }

    function showOutline() {
        const place = list.place(0.3);
        if (list.count > 0)
            outline.show(root.pages.navigator.entryAt(place.x, place.y));
    }

    Rectangle {
        anchors.fill: parent
        color: root.pages.hasPages || list.count === 0 ? Theme.desk : Theme.paper
    }
    ColumnLayout {
        anchors.fill: parent
        spacing: 0
        Rectangle {
            Layout.fillWidth: true
            Layout.preferredHeight: Theme.barHeight
            color: Theme.pane
            TextButton {
                id: contents
                objectName: "contents"
                anchors {
                    left: parent.left
                    leftMargin: Theme.gap
                    verticalCenter: parent.verticalCenter
                }
                visible: root.pages.navigator.outline.length > 0
                implicitWidth: implicitHeight
                text: "\u2261"
                Accessible.name: qsTr("Table of contents")
                onClicked: root.showOutline()
            }
            PageBar {
                id: bar
                anchors {
                    fill: parent
                    leftMargin: contents.visible ? contents.width + 2 * Theme.gap : Theme.pad
                    rightMargin: Theme.gap
                }
                visible: root.pages.hasPages
                page: list.shownPage
                pages: list.count
                percent: Math.round(list.zoom * 100)
                fit: list.fit
                onPageWanted: (page) => {
                    list.leave();
                    list.positionViewAtIndex(page - 1, ListView.Beginning);
                    list.forceActiveFocus();
                }
                onZoomWanted: (steps) => root.zoom(steps)
                onFitWanted: (to) => root.fit(to)
            }
            Text {
                anchors {
                    left: parent.left
                    leftMargin: contents.visible ? contents.width + 2 * Theme.gap : Theme.pad
                    verticalCenter: parent.verticalCenter
                }
                text: qsTr("Text")
                visible: list.count > 0 && !root.pages.hasPages
                color: Theme.muted
                font.pixelSize: Theme.base
            }
        }
        Line { Layout.fillWidth: true }
        FindBar {
            id: finding
            Layout.fillWidth: true
            Layout.margins: Theme.gap
            visible: false
            hits: root.pages.hits
            hit: root.pages.hit
            onWordsWanted: (words) => root.pages.find(words, list.shownPage - 1)
            onStepWanted: (step) => root.pages.nextHit(step)
            onClosed: {
                visible = false;
                root.pages.find("", 0);
                list.forceActiveFocus(Qt.OtherFocusReason);
            }
        }
        ListView {
            id: list
            objectName: "pages"
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
            }
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

            Layout.fillWidth: true
            Layout.fillHeight: true
            focus: true
            activeFocusOnTab: true
            clip: true
            spacing: root.pages.hasPages ? 12 : 0
            topMargin: 12
            bottomMargin: 12
            cacheBuffer: 400
            boundsBehavior: Flickable.StopAtBounds
            model: root.pages.pages
            contentWidth: Math.max(width, root.pages.hasPages ? widest.width * scaling + 2 * Theme.pad : 0)
            flickableDirection: Flickable.AutoFlickIfNeeded
            onScalingChanged: settle.restart()
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
                else if (control && key === Qt.Key_C)
                    root.copyWanted(words.text());
                else if (key === Qt.Key_Escape && words.any)
                    words.clear();
                else if (key === Qt.Key_Return && words.any)
                    return root.pages.navigator.followLink(words.page, Qt.point(end.x + end.width / 2, end.y + end.height / 2));
                else if (shift && (key === Qt.Key_Right || key === Qt.Key_Left))
                    words.step(key === Qt.Key_Right ? PageSelection.NextWord : PageSelection.PreviousWord, shownPage);
                else if (shift && (key === Qt.Key_Down || key === Qt.Key_Up))
                    words.step(key === Qt.Key_Down ? PageSelection.NextLine : PageSelection.PreviousLine, shownPage);
                else if (key === Qt.Key_Down || key === Qt.Key_Up)
                    flick(0, key === Qt.Key_Down ? -700 : 700);
                else
                    return false;
                return true;
            }
            HeatStrip {
                id: strip
                objectName: "heatStrip"
                parent: list
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
                    list.leave();
                    list.positionViewAtIndex(page - 1, ListView.Beginning);
                }
            }
            Timer {
                id: settle
                interval: list.drawnScaling === 0 ? 1 : 200
                onTriggered: list.drawnScaling = list.scaling
            }
            WheelHandler {
                acceptedModifiers: Qt.ControlModifier
                onWheel: (event) => root.zoom(event.angleDelta.y > 0 ? 1 : -1)
            }
            PagePointer {
                id: pointer
                pages: root.pages
                list: list
                scaling: list.scaling
                onMenuWanted: menu.popup()
            }
            delegate: PageItem {
                x: (list.contentWidth - width) / 2
                width: page > 0 ? Math.max(40, pointWidth * list.scaling) : list.roomWidth
                document: root.pages.document
                imageWidth: pointWidth * list.drawnScaling
                marks: page > 0 && page === root.pages.markedPage ? root.pages.marks : []
            }
            Connections {
                target: root.pages
                function onDocumentChanged() {
                    finding.visible = false;
                }
                function onPlaceWanted(row: int, down: real, jump: bool) {
                    if (jump)
                        list.leave();
                    list.show(row, down, 0.3);
                    list.showAcross(row, root.pages.marks);
                }
            }
        }
    }
    SelectionBar {
        id: beside
        // Below the last of the chosen words, or above it at the pane's foot.
        readonly property Item page: {
            list.contentY;   // items come and go
            return root.pages.selection.any ? list.itemAtIndex(root.pages.selection.page - 1) : null;
        }
        readonly property rect word: root.pages.selection.end
        readonly property real wordTop: list.y + (page ? page.y + word.y * list.scaling : 0) - list.contentY
        readonly property real below: wordTop + word.height * list.scaling + 6
        visible: page !== null && !pointer.dragging && wordTop > list.y && wordTop < list.y + list.height
        x: Math.max(4, Math.min((page ? page.x + word.x * list.scaling : 0) - list.contentX, root.width - width - 4))
        y: below + height < root.height - 4 ? below : wordTop - height - 6
        onCopyWanted: root.copyWanted(root.pages.selection.text())
        onAskWanted: root.askWanted(root.pages.selection.quotation())
    }
    Menu {
        id: menu
        MenuItem {
            text: qsTr("Copy")
            enabled: root.pages.selection.any
            onTriggered: root.copyWanted(root.pages.selection.text())
        }
        MenuItem {
            text: qsTr("Ask about this")
            enabled: root.pages.selection.any
            onTriggered: root.askWanted(root.pages.selection.quotation())
        }
        MenuItem {
            text: qsTr("Choose the whole page")
            onTriggered: root.pages.selection.selectPage(list.shownPage)
        }
    }
    OutlinePopup {
        id: outline
        objectName: "outlinePopup"
        navigator: root.pages.navigator
        x: Theme.gap
        y: list.y + Theme.gap
        width: Math.min(root.width - 2 * Theme.gap, Theme.base * 30)
        height: Math.min(list.height - 2 * Theme.gap, Theme.base * 36)
    }
}
