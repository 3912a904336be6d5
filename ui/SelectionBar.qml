import QtQuick
import QtQuick.Layouts

// What can be done with the words chosen on a page, beside them.
Rectangle {
    id: root

    signal copyWanted()
    signal askWanted()

    implicitWidth: row.implicitWidth + 8
    implicitHeight: row.implicitHeight + 8
    radius: Theme.radius
    color: Theme.raised
    border.color: Theme.edge
    RowLayout {
        id: row
        anchors.centerIn: parent
        spacing: 2
        TextButton {
            objectName: "copyChosen"
            text: qsTr("Copy")
            focusPolicy: Qt.TabFocus
            onClicked: root.copyWanted()
        }
        TextButton {
            objectName: "askChosen"
            text: qsTr("Ask about this")
            focusPolicy: Qt.TabFocus
            onClicked: root.askWanted()
        }
    }
}
