import QtQuick
import QtQuick.Layouts
import Carrel.app

// What was forgotten a moment ago, and the way back.
Rectangle {
    id: root

    required property Forgetting forgetting

    implicitHeight: visible ? row.implicitHeight + 12 : 0
    visible: root.forgetting.sentence !== ""
    color: Theme.soft
    Accessible.role: Accessible.AlertMessage
    Accessible.name: root.forgetting.sentence + " " + qsTr("Ctrl+Z undoes it.")

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
            objectName: "forgotten"
            Layout.fillWidth: true
            text: root.forgetting.sentence
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.base
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
        }
        TextButton {
            objectName: "undo"
            text: qsTr("Undo")
            Accessible.name: qsTr("Undo forgetting")
            onClicked: root.forgetting.undo()
        }
    }
}
