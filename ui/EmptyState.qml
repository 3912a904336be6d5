import QtQuick
import QtQuick.Layouts

// Nothing is open: one sentence that says what to do.
Item {
    id: root

    signal addWanted()

    ColumnLayout {
        anchors.centerIn: parent
        width: Math.min(parent.width - 64, Theme.base * 43)
        spacing: 20
        Text {
            Layout.fillWidth: true
            text: qsTr("Drop a PDF or a text file here and ask about it.")
            color: Theme.text
            font.pixelSize: Theme.title
            horizontalAlignment: Text.AlignHCenter
            wrapMode: Text.Wrap
            lineHeight: 1.2
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        TextButton {
            Layout.alignment: Qt.AlignHCenter
            primary: true
            text: qsTr("Add a document…")
            onClicked: root.addWanted()
        }
        Text {
            Layout.fillWidth: true
            text: qsTr("It is read once, on this computer. Nothing leaves it.")
            color: Theme.muted
            font.pixelSize: Theme.small
            horizontalAlignment: Text.AlignHCenter
            wrapMode: Text.Wrap
        }
    }
}
