import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// Asks for the password of an encrypted document. It is kept in memory only.
Popup {
    id: root

    required property LibraryController library

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 30, parent ? parent.width - 48 : 420)
    padding: 24
    modal: true
    focus: true
    closePolicy: Popup.NoAutoClose
    visible: root.library.passwordFor !== ""
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: {
        field.clear();
        field.forceActiveFocus();
    }

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: qsTr("“%1” is encrypted").arg(root.library.passwordFor)
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            wrapMode: Text.Wrap
        }
        Text {
            Layout.fillWidth: true
            text: root.library.passwordProblem || qsTr("Carrel remembers the password until it is closed, and writes it nowhere.")
            color: root.library.passwordProblem ? Theme.warningText : Theme.muted
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        TextField {
            id: field
            objectName: "password"
            Layout.fillWidth: true
            implicitHeight: Math.max(36, Theme.base * 2.2)
            leftPadding: 10
            echoMode: TextInput.Password
            font.pixelSize: Theme.base
            color: Theme.text
            background: Rectangle {
                radius: Theme.radius
                color: Theme.paper
                border.width: field.activeFocus ? 2 : 1
                border.color: field.activeFocus ? Theme.accent : Theme.edge
            }
            placeholderText: qsTr("Password")
            Accessible.name: qsTr("Password of %1").arg(root.library.passwordFor)
            Accessible.description: qsTr("Password of %1").arg(root.library.passwordFor)   // Qt keeps such a field's name to itself
            onAccepted: root.library.givePassword(text)
            Keys.onEscapePressed: root.library.cancelPassword()
        }
        RowLayout {
            Layout.alignment: Qt.AlignRight
            spacing: Theme.gap
            TextButton {
                text: qsTr("Cancel")
                onClicked: root.library.cancelPassword()
            }
            TextButton {
                primary: true
                enabled: field.text !== ""
                text: qsTr("Open")
                onClicked: root.library.givePassword(field.text)
            }
        }
    }
}
