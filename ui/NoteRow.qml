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

    GridLayout {   // at large sizes the buttons go below the words
        id: row
        width: parent.width
        columns: root.width < buttons.implicitWidth + Theme.base * 16 ? 1 : 2
        columnSpacing: Theme.gap
        rowSpacing: 0
        RowLayout {
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
        }
        RowLayout {
            id: buttons
            Layout.alignment: Qt.AlignRight
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
}
