import QtQuick
import QtQuick.Layouts

// What went wrong, what was kept, and one thing to do about it. It stays until that is done, or it is put away.
Rectangle {
    id: root

    required property string sentence
    required property string remedy   // on the button; empty: it can only be put away
    signal used()
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
            objectName: "remedy"
            visible: root.remedy !== ""
            text: root.remedy
            onClicked: root.used()
        }
        TextButton {
            objectName: "dismiss"
            text: root.remedy === "" ? qsTr("Close") : "\u00d7"
            Accessible.name: qsTr("Put this message away")
            onClicked: root.dismissed()
        }
    }
}
