import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// How much of the disk readings may take.
SettingsGroup {
    id: root

    required property DiskController disk
    required property DataMover mover
    signal folderWanted()

    title: qsTr("Disk")
    SettingRow {
        name: qsTr("Readings may take")
        TextButton {
            objectName: "quotaAutomatic"
            primary: root.disk.quotaGb === 0
            text: qsTr("Automatic")
            Accessible.role: Accessible.RadioButton
            Accessible.checked: primary
            Accessible.description: qsTr("A fifth of the free space, at most 50 GB")
            onClicked: root.disk.quotaGb = 0
        }
        TextField {
            id: quota
            objectName: "quota"
            Layout.preferredWidth: Theme.base * 5
            implicitHeight: Math.max(32, Theme.base * 2.1)
            text: root.disk.quotaGb > 0 ? root.disk.quotaGb : ""
            placeholderText: "–"
            horizontalAlignment: Text.AlignRight
            font.pixelSize: Theme.base
            color: Theme.text
            selectByMouse: true
            validator: IntValidator {
                bottom: 1
                top: 100000
            }
            Accessible.name: qsTr("Gigabytes that readings may take")
            onEditingFinished: root.disk.quotaGb = parseInt(text)
            background: Rectangle {
                radius: Theme.radius
                color: Theme.paper
                border.color: quota.activeFocus ? Theme.accent : Theme.edge
            }
        }
        Text {
            text: qsTr("GB")
            color: Theme.text
            font.pixelSize: Theme.base
        }
    }
    Text {
        objectName: "diskText"
        Layout.fillWidth: true
        text: root.disk.text
        color: Theme.muted
        font.pixelSize: Theme.small
        wrapMode: Text.Wrap
        Accessible.role: Accessible.StaticText
        Accessible.name: text
    }
    SettingRow {
        name: qsTr("Data folder")
        hint: root.mover.folder
        TextButton {
            objectName: "moveData"
            text: qsTr("Move…")
            enabled: root.mover.movable
            Accessible.name: qsTr("Move the data folder")
            Accessible.description: root.mover.movable ? root.mover.folder : qsTr("It was named when Carrel was started and stays there.")
            onClicked: root.folderWanted()
        }
    }
}
