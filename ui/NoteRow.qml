import QtQuick

// The line under an answer: what it could use, or what is going on.
Item {
    id: root

    required property string plain
    required property string answer
    required property bool open
    required property bool failed
    required property bool pages      // it is known where on them the answer was read
    signal copyWanted(string text)
    signal pagesWanted()
    required property string remedy   // of what failed: its button
    signal remedyWanted()

    readonly property bool stacked: root.width < buttons.width + Theme.base * 16   // at large sizes: words, then buttons
    readonly property real bothHeight: root.stacked ? note.height + buttons.height : Math.max(note.height, buttons.height)

    implicitHeight: root.bothHeight + 10

    Rectangle {
        id: dot
        anchors.verticalCenter: note.verticalCenter
        visible: root.open
        width: 8
        height: 8
        radius: 4
        color: Theme.accent
        SequentialAnimation on opacity {
            running: dot.visible
            loops: Animation.Infinite
            NumberAnimation { from: 1; to: 0.25; duration: 700 }
            NumberAnimation { from: 0.25; to: 1; duration: 700 }
        }
    }
    Text {
        id: note
        objectName: "note"
        x: dot.visible ? dot.width + Theme.gap : 0
        y: root.stacked ? 0 : (root.bothHeight - height) / 2
        width: root.width - x - (root.stacked ? 0 : buttons.width + Theme.gap)
        text: root.plain
        textFormat: Text.PlainText
        color: root.failed ? Theme.warningText : Theme.muted
        font.pixelSize: Theme.small
        wrapMode: Text.Wrap
    }
    Row {
        id: buttons
        anchors.right: parent.right
        y: root.stacked ? note.height : (root.bothHeight - height) / 2
        spacing: 2
        component Small: TextButton { implicitHeight: Math.max(26, Theme.base * 1.7) }
        Small {
            objectName: "showPages"
            visible: !root.open && root.pages
            text: qsTr("Pages")
            Accessible.name: qsTr("Show beside the pages where this answer was read")
            onClicked: root.pagesWanted()
        }
        Small {
            objectName: "turnRemedy"
            visible: root.remedy !== ""
            text: root.remedy
            onClicked: root.remedyWanted()
        }
        Small {
            visible: !root.failed && !root.open && root.answer !== ""
            text: qsTr("Copy")
            Accessible.name: qsTr("Copy the answer")
            onClicked: root.copyWanted(root.answer)
        }
    }
}
