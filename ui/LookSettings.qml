pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts
import Carrel.app

// How the window looks.
SettingsGroup {
    id: root

    required property Look look

    title: qsTr("Look")
    SettingRow {
        name: qsTr("Size of text")
        TextButton {
            objectName: "textSmaller"
            implicitWidth: Theme.base * 2.4
            text: "−"
            enabled: root.look.textPercent > 80
            Accessible.name: qsTr("Smaller text")
            onClicked: root.look.textPercent -= 10
        }
        Text {
            Layout.preferredWidth: Theme.base * 4
            text: qsTr("%1 %").arg(root.look.textPercent)
            color: Theme.text
            font.pixelSize: Theme.base
            horizontalAlignment: Text.AlignHCenter
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        TextButton {
            objectName: "textLarger"
            implicitWidth: Theme.base * 2.4
            text: "+"
            enabled: root.look.textPercent < 200
            Accessible.name: qsTr("Larger text")
            onClicked: root.look.textPercent += 10
        }
    }
    SettingRow {
        name: qsTr("Colours")
        Repeater {
            model: [
                { shade: Look.System, text: qsTr("As the system") },
                { shade: Look.Light, text: qsTr("Light") },
                { shade: Look.Dark, text: qsTr("Dark") }
            ]
            TextButton {
                required property var modelData
                objectName: "shade" + modelData.shade
                primary: root.look.shade === modelData.shade
                text: modelData.text
                Accessible.role: Accessible.RadioButton
                Accessible.checked: primary
                onClicked: root.look.shade = modelData.shade
            }
        }
    }
}
