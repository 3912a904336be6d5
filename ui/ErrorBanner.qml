import QtQuick
import QtQuick.Layouts

// What went wrong and what to do, in one sentence. It stays until it is read.
Rectangle {
    id: root

    required property string sentence
    signal dismissed()

    implicitHeight: visible ? row.implicitHeight + 20 : 0
    visible: root.sentence !== ""
    color: Theme.warning
    Accessible.role: Accessible.AlertMessage
    Accessible.name: root.sentence

    RowLayout {
        id: row
        anchors {
            left: parent.left
            right: parent.right
            verticalCenter: parent.verticalCenter
            leftMargin: Theme.pad
            rightMargin: Theme.gap
        }
        spacing: Theme.gap
        Text {
            objectName: "problem"
            Layout.fillWidth: true
            text: root.sentence
            textFormat: Text.PlainText
            color: Theme.warningText
            font.pixelSize: Theme.base
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
        }
        TextButton {
            text: qsTr("Close")
            Accessible.name: qsTr("Close this message")
            onClicked: root.dismissed()
        }
    }
}
