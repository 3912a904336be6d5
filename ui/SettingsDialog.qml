pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// What a person may choose; each has a default that does.
Popup {
    id: root

    required property Look look

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 30, parent ? parent.width - 48 : 420)
    padding: 24
    modal: true
    focus: true
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.paper
        border.color: Theme.line
    }
    onOpened: larger.forceActiveFocus()

    component Name: Text {
        Layout.fillWidth: true
        color: Theme.text
        font.pixelSize: Theme.base
        elide: Text.ElideRight
    }
    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: qsTr("Settings")
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        RowLayout {
            Layout.fillWidth: true
            Name { text: qsTr("Size of text") }
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
                id: larger
                objectName: "textLarger"
                implicitWidth: Theme.base * 2.4
                text: "+"
                enabled: root.look.textPercent < 200
                Accessible.name: qsTr("Larger text")
                onClicked: root.look.textPercent += 10
            }
        }
        RowLayout {
            Layout.fillWidth: true
            Name { text: qsTr("Colours") }
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
        TextButton {
            Layout.alignment: Qt.AlignRight
            Layout.topMargin: 8
            objectName: "settingsClose"
            text: qsTr("Close")
            onClicked: root.close()
        }
    }
}
