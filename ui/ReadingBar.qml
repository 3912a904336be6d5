pragma ComponentBehavior: Bound

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
    property bool open: false   // the forecast at length

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
        GridLayout {   // at large sizes the buttons go below the words
            Layout.fillWidth: true
            columns: root.width < Theme.base * (root.calm ? 18 : 30) ? 1 : 2
            columnSpacing: 2
            rowSpacing: 0
            Text {
                objectName: "readingText"
                Layout.fillWidth: true
                text: root.reading.text
                textFormat: Text.PlainText
                color: root.reading.state === ReadingController.Failed ? Theme.warningText : Theme.muted
                font.pixelSize: Theme.small
                elide: Text.ElideRight
                wrapMode: Text.Wrap
                maximumLineCount: root.reading.state === ReadingController.Failed ? 8 : 2
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }
            RowLayout {
                Layout.alignment: Qt.AlignRight
                spacing: 2
                TextButton {
                    objectName: "pause"
                    visible: root.reading.canPause
                    text: root.reading.hardlyBegun ? qsTr("Not now") : qsTr("Pause")
                    Accessible.name: qsTr("Pause reading")
                    onClicked: root.reading.pause()
                }
                TextButton {
                    objectName: "readingRemedy"
                    visible: root.reading.remedy !== ""
                    text: root.reading.remedy
                    onClicked: root.reading.useRemedy()
                }
                TextButton {
                    objectName: "resume"
                    visible: root.reading.canResume && root.reading.remedy === ""
                    text: root.reading.fraction > 0 ? qsTr("Resume") : qsTr("Read")
                    Accessible.name: qsTr("Resume reading")
                    onClicked: root.reading.resume()
                }
                TextButton {
                    objectName: "cancel"
                    visible: root.reading.canCancel && root.reading.fraction > 0 && root.reading.remedy === ""
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
        }
        RowLayout {
            Layout.fillWidth: true
            visible: root.reading.forecast !== ""
            spacing: 2
            Text {
                objectName: "forecast"
                Layout.fillWidth: true
                text: root.reading.forecast
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                wrapMode: Text.Wrap
                Accessible.role: Accessible.StaticText
                Accessible.name: qsTr("Reading takes %1").arg(text)
            }
            TextButton {
                objectName: "forecastOpen"
                text: root.open ? qsTr("Less") : qsTr("Details")
                Accessible.name: root.open ? qsTr("Less about this reading") : qsTr("More about this reading")
                onClicked: root.open = !root.open
            }
        }
        Repeater {
            model: root.open ? root.reading.forecastDetails : []
            Text {
                required property string modelData
                objectName: "forecastDetail"
                Layout.fillWidth: true
                text: modelData
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                wrapMode: Text.Wrap
                Accessible.role: Accessible.StaticText
                Accessible.name: text
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
