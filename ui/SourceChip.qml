import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// One source under an answer. It shows and reports a click; it decides nothing.
AbstractButton {
    id: root

    required property string title     // "p. 12"
    required property string quote
    required property real share       // of what the listed sources weigh together, 0..1

    implicitHeight: implicitContentHeight + topPadding + bottomPadding
    topPadding: 9
    bottomPadding: 9
    leftPadding: 12
    rightPadding: 12
    focusPolicy: Qt.StrongFocus
    Accessible.name: qsTr("Open source: %1, %2 percent. %3").arg(root.title).arg(Math.round(root.share * 100)).arg(root.quote)
    Accessible.role: Accessible.Button
    HoverHandler {
        cursorShape: Qt.PointingHandCursor
    }

    contentItem: RowLayout {
        spacing: 12
        ColumnLayout {
            Layout.preferredWidth: 58
            Layout.maximumWidth: 58
            Layout.minimumWidth: 58
            Layout.alignment: Qt.AlignTop
            spacing: 5
            Text {
                Layout.fillWidth: true
                text: root.title
                textFormat: Text.PlainText
                color: Theme.accent
                font.pixelSize: Theme.base
                font.weight: Font.DemiBold
                elide: Text.ElideRight
            }
            Rectangle {
                Layout.fillWidth: true
                implicitHeight: 3
                radius: 1.5
                color: Theme.line
                Rectangle {
                    width: parent.width * Math.max(0.04, Math.min(1, root.share))
                    height: parent.height
                    radius: 1.5
                    color: Theme.accent
                }
            }
        }
        Text {
            Layout.fillWidth: true
            text: root.quote
            textFormat: Text.PlainText
            color: Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
            maximumLineCount: 2
            elide: Text.ElideRight
            lineHeight: 1.15
        }
    }
    background: Rectangle {
        radius: Theme.radius
        color: root.hovered || root.visualFocus ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 1
        border.color: root.visualFocus ? Theme.accent : Theme.line
    }
}
