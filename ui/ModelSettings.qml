pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts
import Carrel.app

// Where models are looked for, who computes and with how many threads.
SettingsGroup {
    id: root

    required property ModelController model
    required property ProcessorController processor
    signal folderWanted()
    signal copyWanted(string text)

    title: qsTr("Language models")
    SettingRow {
        name: qsTr("Model folders")
        hint: qsTr("Besides Downloads and the folders of Carrel and other programs. Models are used where they lie.")
        TextButton {
            objectName: "addModelFolder"
            text: qsTr("Add…")
            Accessible.name: qsTr("Add a folder with models")
            onClicked: root.folderWanted()
        }
    }
    Repeater {
        model: root.model.folders
        RowLayout {
            id: row
            required property string modelData
            required property int index
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            Text {
                Layout.fillWidth: true
                text: row.modelData
                textFormat: Text.PlainText
                color: Theme.text
                font.pixelSize: Theme.base
                elide: Text.ElideMiddle
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }
            TextButton {
                objectName: "removeModelFolder" + row.index
                text: qsTr("Remove")
                Accessible.name: qsTr("Do not look for models in %1").arg(row.modelData)
                onClicked: root.model.removeFolder(row.modelData)
            }
        }
    }
    ProcessorRow {
        processor: root.processor
        onCopyWanted: (text) => root.copyWanted(text)
    }
    SettingRow {
        name: qsTr("Threads")
        hint: root.model.threadsGiven ? qsTr("Given at start with --threads.")
                                      : qsTr("From the next time a model is loaded. Answers are the same with any number.")
        TextButton {
            objectName: "fewerThreads"
            implicitWidth: Theme.base * 2.4
            text: "−"
            enabled: !root.model.threadsGiven && root.model.threads > 0
            Accessible.name: qsTr("Fewer threads")
            onClicked: root.model.threads -= 1
        }
        Text {
            objectName: "threads"
            Layout.preferredWidth: Theme.base * 6
            text: root.model.threads === 0 ? qsTr("Automatic") : root.model.threads
            color: Theme.text
            font.pixelSize: Theme.base
            horizontalAlignment: Text.AlignHCenter
            elide: Text.ElideRight
            Accessible.role: Accessible.StaticText
            Accessible.name: qsTr("Threads: %1").arg(text)
        }
        TextButton {
            objectName: "moreThreads"
            implicitWidth: Theme.base * 2.4
            text: "+"
            enabled: !root.model.threadsGiven && root.model.threads < root.model.mostThreads
            Accessible.name: qsTr("More threads")
            onClicked: root.model.threads += 1
        }
    }
}
