import QtQuick
import QtQuick.Layouts

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

    implicitHeight: row.implicitHeight + 10

    RowLayout {
        id: row
        width: parent.width
        spacing: Theme.gap
        Rectangle {
            id: dot
            visible: root.open
            implicitWidth: 8
            implicitHeight: 8
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
            objectName: "note"
            Layout.fillWidth: true
            text: root.plain
            textFormat: Text.PlainText
            color: root.failed ? Theme.warningText : Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
        }
        TextButton {
            objectName: "showPages"
            visible: !root.open && root.pages
            implicitHeight: 26
            text: qsTr("Pages")
            Accessible.name: qsTr("Show beside the pages where this answer was read")
            onClicked: root.pagesWanted()
        }
        TextButton {
            objectName: "turnRemedy"
            visible: root.remedy !== ""
            implicitHeight: Math.max(26, Theme.base * 1.7)
            text: root.remedy
            onClicked: root.remedyWanted()
        }
        TextButton {
            visible: !root.failed && !root.open && root.answer !== ""
            implicitHeight: 26
            text: qsTr("Copy")
            Accessible.name: qsTr("Copy the answer")
            onClicked: root.copyWanted(root.answer)
        }
    }
}
