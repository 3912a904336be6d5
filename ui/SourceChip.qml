import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// One source under an answer: its number and place. Who points at it or comes to it by keyboard sees the quote. It shows
// and reports; it decides nothing.
AbstractButton {
    id: root

    required property int number       // from 1
    required property string title     // "p. 12"
    required property string quote     // empty: it is not kept
    required property real share       // of what the listed sources weigh together, 0..1
    signal copyWanted()

    readonly property bool pointedAt: pointer.hovered || root.visualFocus || card.pointedAt
    readonly property bool cardShown: card.opened
    readonly property string shareText: qsTr("%1 % of these sources").arg(Math.round(root.share * 100))

    implicitHeight: Math.max(30, Theme.small * 2.1)
    leftPadding: 6
    rightPadding: 12
    focusPolicy: Qt.StrongFocus
    Accessible.name: qsTr("Source %1: %2, %3. %4").arg(root.number).arg(root.title).arg(root.shareText).arg(root.quote)
    Accessible.description: qsTr("Enter shows it on its page, Ctrl+C copies it")
    Accessible.role: Accessible.Button
    onPointedAtChanged: pointedAt ? opening.restart() : closing.restart()
    Keys.onReturnPressed: root.clicked()
    Keys.onEnterPressed: root.clicked()
    Keys.onPressed: (event) => {
        if (event.key === Qt.Key_Escape && card.visible) {
            event.accepted = true;
            card.close();
        } else if (event.matches(StandardKey.Copy)) {
            event.accepted = true;
            root.copyWanted();
        }
    }
    HoverHandler {
        id: pointer
        cursorShape: Qt.PointingHandCursor
    }
    Timer {
        id: opening
        interval: root.visualFocus ? 1 : 2 * Theme.quick
        onTriggered: if (root.pointedAt) card.open()
    }
    Timer {
        id: closing   // long enough to reach the card's button
        interval: 2 * Theme.quick
        onTriggered: if (!root.pointedAt) card.close()
    }
    QuoteCard {
        id: card
        chip: root
        heading: qsTr("%1 · %2").arg(root.title).arg(root.shareText)
        quote: root.quote
        onCopyWanted: root.copyWanted()
    }

    contentItem: RowLayout {
        spacing: 7
        Text {
            Layout.alignment: Qt.AlignVCenter
            Layout.preferredWidth: Math.max(20, implicitHeight, implicitWidth)
            horizontalAlignment: Text.AlignHCenter
            text: root.number
            color: Theme.accentText
            font.pixelSize: Theme.small
            font.weight: Font.DemiBold
            Rectangle {
                anchors.fill: parent
                z: -1
                radius: height / 2
                color: Theme.accent
            }
        }
        Text {
            Layout.fillWidth: true
            Layout.maximumWidth: 320
            text: root.title
            textFormat: Text.PlainText
            color: Theme.accent
            font.pixelSize: Theme.base
            elide: Text.ElideRight
        }
    }
    background: Rectangle {
        radius: height / 2
        color: pointer.hovered || root.visualFocus ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 1
        border.color: root.visualFocus ? Theme.accent : Theme.edge
    }
}
