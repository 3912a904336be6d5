import QtQuick

// A paragraph, a list, a heading or a quotation of an answer.
Item {
    id: root

    required property string html
    property int level: 0        // heading, 1..6; 0: no heading
    property bool quote: false
    signal linkWanted(string address)

    implicitHeight: words.implicitHeight + (level > 0 ? 16 : 10)

    Rectangle {
        visible: root.quote
        width: 3
        height: words.implicitHeight
        radius: 1.5
        color: Theme.accent
        opacity: 0.5
    }
    TextEdit {
        id: words
        x: root.quote ? 16 : 0
        y: root.level > 0 ? 8 : 0
        width: root.width - x
        text: Theme.styled(root.html)
        textFormat: TextEdit.RichText
        readOnly: true
        selectByMouse: true
        selectionColor: Theme.accent
        selectedTextColor: Theme.accentText
        wrapMode: TextEdit.WrapAtWordBoundaryOrAnywhere
        color: root.quote ? Theme.muted : Theme.text
        font.pixelSize: root.level === 0 ? Theme.base : Math.round(Theme.base * Math.max(1, 1.36 - 0.1 * root.level))
        font.weight: root.level > 0 ? Font.DemiBold : Font.Normal
        Accessible.ignored: true
        onLinkActivated: (link) => root.linkWanted(link)
        HoverHandler {
            enabled: words.hoveredLink !== ""
            cursorShape: Qt.PointingHandCursor
        }
    }
}
