import QtQuick
import QtQuick.Layouts

// How many of the questions that were asked together have ended.
Item {
    id: root

    required property int total
    required property int ended

    implicitHeight: total > 0 ? row.implicitHeight + 12 : 0
    visible: total > 0

    RowLayout {
        id: row
        anchors {
            left: parent.left
            right: parent.right
            verticalCenter: parent.verticalCenter
            leftMargin: Theme.pad
            rightMargin: Theme.pad
        }
        spacing: 12
        Text {
            objectName: "listProgress"
            text: qsTr("%1 of %2 answered").arg(root.ended).arg(root.total)
            color: Theme.muted
            font.pixelSize: Theme.small
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        ThinBar {
            Layout.fillWidth: true
            fraction: root.total > 0 ? root.ended / root.total : 0
            Accessible.name: qsTr("Answered: %1 of %2 questions").arg(root.ended).arg(root.total)
        }
    }
}
