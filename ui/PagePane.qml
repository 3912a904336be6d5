pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Right: the document itself, scrolled to where an answer was read.
FocusScope {
    id: root

    required property PagesController pages
    readonly property Item view: list

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
            PageBar {
                id: bar
                anchors {
                    fill: parent
                    leftMargin: Theme.pad
                    rightMargin: Theme.gap
                }
                visible: root.pages.hasPages
                page: list.shownPage
                pages: list.count
                percent: Math.round(list.zoom * 100)
                fit: list.fit
                onPageWanted: (page) => {
                    list.positionViewAtIndex(page - 1, ListView.Beginning);
                    list.forceActiveFocus();
                }
                onZoomWanted: (steps) => root.zoom(steps)
                onFitWanted: (to) => root.fit(to)
            }
            Text {
                anchors {
                    left: parent.left
                    leftMargin: Theme.pad
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
            readonly property real roomWidth: Math.max(120, width - 2 * Theme.pad)
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
            // Brings a place down the height of a row to a part of the window's height.
            function show(row: int, down: real, at: real) {
                positionViewAtIndex(row, ListView.Beginning);
                const item = itemAtIndex(row);
                const wanted = contentY + (item ? item.height * down : 0) - height * at;
                const last = originY + contentHeight + bottomMargin - height;
                contentY = Math.max(originY - topMargin, Math.min(wanted, last));
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
            ScrollBar.vertical: ScrollBar {}
            ScrollBar.horizontal: ScrollBar {}
            Accessible.role: Accessible.Document
            Accessible.name: qsTr("Document pages")
            Keys.onUpPressed: flick(0, 700)
            Keys.onDownPressed: flick(0, -700)
            Keys.onPressed: (event) => {
                const step = event.key === Qt.Key_PageUp ? -1 : event.key === Qt.Key_PageDown ? 1 : 0;
                if (step !== 0) {
                    event.accepted = true;
                    positionViewAtIndex(Math.max(0, Math.min(count - 1, shownPage - 1 + step)), ListView.Beginning);
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
                function onPlaceWanted(row: int, down: real) {
                    list.show(row, down, 0.3);
                }
            }
        }
    }
}
