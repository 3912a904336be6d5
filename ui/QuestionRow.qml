import QtQuick

// What the person asked.
Item {
    id: root

    required property string plain

    implicitHeight: bubble.height + 28

    Rectangle {
        id: bubble
        anchors.right: parent.right
        y: 20
        width: Math.min(root.width * 0.86, words.implicitWidth + 28)
        height: words.height + 20
        radius: Theme.radius + 4
        color: Theme.soft
        TextEdit {
            id: words
            x: 14
            y: 10
            width: Math.min(implicitWidth, root.width * 0.86 - 28)
            text: root.plain
            textFormat: TextEdit.PlainText
            readOnly: true
            selectByMouse: true
            selectionColor: Theme.accent
            selectedTextColor: Theme.accentText
            wrapMode: TextEdit.WrapAtWordBoundaryOrAnywhere
            color: Theme.text
            font.pixelSize: Theme.base
            Accessible.ignored: true
        }
    }
}
