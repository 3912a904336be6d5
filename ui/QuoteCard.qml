import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// What a source says, over its chip: above it, or below where there is no room above.
Popup {
    id: root

    required property Item chip
    required property string heading
    required property string quote     // empty: it is not kept
    readonly property bool pointedAt: pointer.hovered
    signal copyWanted()

    readonly property real room: root.parent && root.parent.Window.window ? root.parent.Window.window.width : 400
    readonly property real across: root.chip.mapToItem(null, 0, 0).x

    parent: root.chip
    objectName: "quoteCard"
    width: Math.min(root.room - 24, Math.max(300, Theme.base * 27))
    x: Math.min(0, root.room - 12 - root.width - root.across)
    y: root.opensBelow ? root.chip.height + 4 : -root.height - 4
    property bool opensBelow: false
    padding: 12
    modal: false
    focus: false
    closePolicy: Popup.CloseOnPressOutsideParent   // one that Escape closes would keep the window's keys from it
    onAboutToShow: opensBelow = root.chip.mapToItem(null, 0, 0).y < root.implicitHeight + 12
    background: Rectangle {
        radius: Theme.radius
        color: Theme.raised
        border.color: Theme.edge
    }
    ColumnLayout {
        anchors.fill: parent
        spacing: 6
        HoverHandler {
            id: pointer
            margin: 12
        }
        RowLayout {
            Layout.fillWidth: true
            Text {
                Layout.fillWidth: true
                text: root.heading
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                elide: Text.ElideRight
            }
            TextButton {
                objectName: "copyQuote"
                implicitHeight: Math.max(26, Theme.small * 1.8)
                focusPolicy: Qt.NoFocus
                text: qsTr("Copy")
                Accessible.name: qsTr("Copy the quote with its place")
                onClicked: root.copyWanted()
            }
        }
        Text {
            objectName: "quote"
            Layout.fillWidth: true
            text: root.quote || qsTr("The words of an encrypted document are not kept. Click to see the place.")
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
            maximumLineCount: 14
            elide: Text.ElideRight
            lineHeight: 1.2
        }
    }
}
