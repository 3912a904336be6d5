import QtQuick
import QtQuick.Layouts
import Carrel.app

// How far the open document is read, what one can do about it, and where it is kept.
Item {
    id: root

    required property ReadingController reading
    signal cancelWanted()
    signal memoryWanted()

    readonly property bool calm: root.reading.state === ReadingController.Ready

    implicitHeight: root.reading.state === ReadingController.None ? 0 : column.implicitHeight + (calm ? 12 : 20)
    visible: implicitHeight > 0

    ColumnLayout {
        id: column
        anchors {
            left: parent.left
            right: parent.right
            verticalCenter: parent.verticalCenter
            leftMargin: Theme.pad
            rightMargin: Theme.gap
        }
        spacing: 6
        RowLayout {
            Layout.fillWidth: true
            spacing: 2
            Text {
                objectName: "readingText"
                Layout.fillWidth: true
                text: root.reading.text
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                elide: Text.ElideRight
                wrapMode: Text.Wrap
                maximumLineCount: 2
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }
            TextButton {
                objectName: "pause"
                visible: root.reading.canPause
                text: qsTr("Pause")
                Accessible.name: qsTr("Pause reading")
                onClicked: root.reading.pause()
            }
            TextButton {
                objectName: "resume"
                visible: root.reading.canResume
                text: root.reading.fraction > 0 ? qsTr("Resume") : qsTr("Read")
                Accessible.name: qsTr("Resume reading")
                onClicked: root.reading.resume()
            }
            TextButton {
                objectName: "cancel"
                visible: root.reading.canCancel && root.reading.fraction > 0
                text: qsTr("Cancel")
                Accessible.name: qsTr("Cancel reading and forget what was read")
                onClicked: root.cancelWanted()
            }
            TextButton {
                objectName: "memory"
                text: qsTr("Memory")
                Accessible.name: qsTr("Where the document is in memory and on disk")
                onClicked: root.memoryWanted()
            }
        }
        ThinBar {
            Layout.fillWidth: true
            Layout.rightMargin: Theme.gap
            visible: !root.calm
            fraction: root.reading.fraction
        }
    }
}
