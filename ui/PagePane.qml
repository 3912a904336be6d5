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
            Text {
                anchors {
                    left: parent.left
                    leftMargin: Theme.pad
                    verticalCenter: parent.verticalCenter
                }
                text: root.pages.hasPages ? qsTr("Page %1 of %2").arg(list.shownPage).arg(list.count) : qsTr("Text")
                visible: list.count > 0
                color: Theme.muted
                font.pixelSize: Theme.base
            }
        }
        Line { Layout.fillWidth: true }
        ListView {
            id: list
            objectName: "pages"
            readonly property int shownPage: Math.max(1, indexAt(width / 2, contentY + Math.min(height, contentHeight) * 0.4) + 1)
            readonly property real pageWidth: Math.max(120, width - 2 * Theme.pad)
            property real imageWidth: 0

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
            onPageWidthChanged: settle.restart()
            ScrollBar.vertical: ScrollBar {}
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
                interval: list.imageWidth === 0 ? 1 : 200
                onTriggered: list.imageWidth = list.pageWidth
            }
            delegate: PageItem {
                x: Theme.pad
                width: list.pageWidth
                document: root.pages.document
                imageWidth: list.imageWidth
                marks: page > 0 && page === root.pages.markedPage ? root.pages.marks : []
            }
            Connections {
                target: root.pages
                function onPlaceWanted(row: int, down: real) {
                    list.positionViewAtIndex(row, ListView.Beginning);
                    const item = list.itemAtIndex(row);
                    const wanted = list.contentY + (item ? item.height * down : 0) - list.height * 0.3;
                    const last = list.originY + list.contentHeight + list.bottomMargin - list.height;
                    list.contentY = Math.max(list.originY - list.topMargin, Math.min(wanted, last));
                }
            }
        }
    }
}
