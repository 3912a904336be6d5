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
        PageList {
            id: list
            objectName: "pages"
            Layout.fillWidth: true
            Layout.fillHeight: true
            focus: true
            pages: root.pages
            heat: root.heat
            onZoomWanted: (steps) => root.zoom(steps)
            onCopyWanted: (text) => root.copyWanted(text)
            onMenuWanted: menu.popup()
        }
    }
    Connections {
        target: root.pages
        function onDocumentChanged() {
            finding.visible = false;
        }
        function onWordsShown(words: string) {
            finding.visible = true;
            finding.show(words);
            list.forceActiveFocus(Qt.OtherFocusReason);
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
        readonly property bool ofText: root.pages.selection.any && !root.pages.hasPages   // which knows no boxes
        visible: ofText || (page !== null && !list.dragging && wordTop > list.y && wordTop < list.y + list.height)
        x: ofText ? root.width - width - Theme.pad : Math.max(4, Math.min((page ? page.x + word.x * list.scaling : 0) - list.contentX, root.width - width - 4))
        y: ofText ? root.height - height - Theme.pad : below + height < root.height - 4 ? below : wordTop - height - 6
        onCopyWanted: root.copyWanted(root.pages.selection.text())
        onAskWanted: root.askWanted(root.pages.selection.quotation())
    }
    PlainMenu {
        id: menu
        PlainMenuItem {
            text: qsTr("Copy")
            enabled: root.pages.selection.any
            onTriggered: root.copyWanted(root.pages.selection.text())
        }
        PlainMenuItem {
            text: qsTr("Ask about this")
            enabled: root.pages.selection.any
            onTriggered: root.askWanted(root.pages.selection.quotation())
        }
        PlainMenuItem {
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
        height: Math.min(list.height - 2 * Theme.gap, Theme.base * 36, wantedHeight)
    }
}
