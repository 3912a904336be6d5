pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// How much memory a document may use: three choices, and what each was measured to come to.
SettingsGroup {
    id: root

    required property MemoryController memory

    title: qsTr("Memory for a document")
    spacing: 4

    component Words: Text {
        Layout.fillWidth: true
        color: Theme.muted
        font.pixelSize: Theme.small
        wrapMode: Text.Wrap
        Accessible.role: Accessible.StaticText
        Accessible.name: text
    }
    Repeater {
        model: root.memory.choices.length
        AbstractButton {
            id: choice
            required property int index
            readonly property var of: root.memory.choices[choice.index] ?? ({})

            objectName: "memory" + index
            Layout.fillWidth: true
            padding: 6
            Accessible.role: Accessible.RadioButton
            Accessible.checkable: true
            Accessible.checked: choice.of.chosen
            Accessible.name: qsTr("%1, %2, %3").arg(choice.of.name).arg(choice.of.budget).arg(choice.of.measured)
            onClicked: root.memory.choose(choice.index)
            background: Rectangle {
                radius: Theme.radius
                color: choice.hovered ? Theme.hover : "transparent"
                border.width: choice.visualFocus ? 2 : 0
                border.color: Theme.accent
            }
            contentItem: RowLayout {
                spacing: 10
                Rectangle {
                    Layout.preferredWidth: Theme.base
                    Layout.preferredHeight: Theme.base
                    radius: Theme.base / 2
                    color: "transparent"
                    border.width: choice.of.chosen ? Theme.base * 0.3 : 1.5
                    border.color: choice.of.chosen ? Theme.accent : Theme.muted
                }
                ColumnLayout {
                    spacing: 0
                    Text {
                        Layout.fillWidth: true
                        text: qsTr("%1 · %2").arg(choice.of.name).arg(choice.of.budget)
                        color: Theme.text
                        font.pixelSize: Theme.base
                        wrapMode: Text.Wrap
                    }
                    Text {
                        Layout.fillWidth: true
                        text: choice.of.measured ?? ""
                        color: Theme.muted
                        font.pixelSize: Theme.small
                        wrapMode: Text.Wrap
                    }
                }
            }
        }
    }
    Words { text: qsTr("Holds from the next question on. Of a document that does not fit, other parts may be read, and an answer's words may differ a little.") }
    Words {
        objectName: "memoryNote"
        visible: text !== ""
        text: root.memory.note
        color: Theme.text
    }
    TextButton {
        objectName: "measureMemory"
        Layout.leftMargin: -14   // its words stand under the others
        text: root.memory.measuring ? qsTr("Stop measuring") : qsTr("Measure with this document")
        onClicked: root.memory.measuring ? root.memory.stop() : root.memory.measure()
    }
}
