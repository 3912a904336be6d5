import QtQuick
import QtQuick.Controls

// Code of an answer, in its own frame; long lines scroll.
Item {
    id: root

    required property string plain
    property string language
    signal copyWanted(string text)

    implicitHeight: frame.height + 12

    Rectangle {
        id: frame
        width: root.width
        height: head.height + code.implicitHeight + 16
        radius: Theme.radius
        color: Theme.code
        border.color: Theme.line

        Item {
            id: head
            width: parent.width
            height: Math.max(32, Theme.base * 2.1)
            Text {
                anchors {
                    left: parent.left
                    leftMargin: 12
                    verticalCenter: parent.verticalCenter
                }
                text: root.language || qsTr("Code")
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
            }
            TextButton {
                anchors.right: parent.right
                implicitHeight: head.height - 2
                text: qsTr("Copy")
                Accessible.name: qsTr("Copy code")
                onClicked: root.copyWanted(root.plain)
            }
        }
        Flickable {
            y: head.height
            x: 12
            width: parent.width - 24
            height: code.implicitHeight + 12
            contentWidth: code.implicitWidth
            contentHeight: code.implicitHeight
            clip: true
            boundsBehavior: Flickable.StopAtBounds
            flickableDirection: Flickable.HorizontalFlick
            ScrollBar.horizontal: ScrollBar {}
            TextEdit {
                id: code
                text: root.plain
                textFormat: TextEdit.PlainText
                readOnly: true
                selectByMouse: true
                selectionColor: Theme.accent
                selectedTextColor: Theme.accentText
                color: Theme.text
                font.family: "monospace"
                font.pixelSize: Theme.small
                Accessible.ignored: true
            }
        }
    }
}
