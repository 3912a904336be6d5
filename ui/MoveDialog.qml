import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Whether the data folder is to move, and how far it is.
Popup {
    id: root

    required property DataMover mover

    visible: root.mover.target !== ""
    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 32, parent ? parent.width - 48 : 460)
    padding: 24
    modal: true
    focus: true
    closePolicy: Popup.NoAutoClose
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: cancel.forceActiveFocus(Qt.PopupFocusReason)

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: root.mover.moving ? qsTr("Moving Carrel's data") : qsTr("Move Carrel's data?")
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            wrapMode: Text.Wrap
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        Text {
            Layout.fillWidth: true
            text: qsTr("From %1 to %2. It is copied and compared, and only then removed from the old place; models stay where they are. Carrel pauses meanwhile and reopens afterwards.").arg(root.mover.folder).arg(root.mover.target)
            textFormat: Text.PlainText
            color: Theme.muted
            font.pixelSize: Theme.base
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        ThinBar {
            Layout.fillWidth: true
            visible: root.mover.moving
            fraction: root.mover.fraction
        }
        RowLayout {
            Layout.topMargin: 8
            Layout.alignment: Qt.AlignRight
            spacing: Theme.gap
            TextButton {
                id: cancel
                objectName: "moveCancel"
                text: qsTr("Cancel")
                onClicked: root.mover.cancel()
                Keys.onReturnPressed: clicked()
                Keys.onEscapePressed: clicked()
            }
            TextButton {
                objectName: "moveStart"
                primary: true
                visible: !root.mover.moving
                text: qsTr("Move")
                onClicked: root.mover.start()
                Keys.onReturnPressed: clicked()
            }
        }
    }
}
