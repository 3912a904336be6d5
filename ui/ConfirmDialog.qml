import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// A question with two answers; the harmless one has the focus.
Popup {
    id: root

    property string heading
    property string body
    property string yes: qsTr("Yes")
    signal accepted()

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 30, parent ? parent.width - 48 : 420)
    padding: 24
    modal: true
    focus: true
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: no.forceActiveFocus()

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: root.heading
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            wrapMode: Text.Wrap
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        Text {
            Layout.fillWidth: true
            text: root.body
            textFormat: Text.PlainText
            color: Theme.muted
            font.pixelSize: Theme.base
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        RowLayout {
            Layout.topMargin: 8
            Layout.alignment: Qt.AlignRight
            spacing: Theme.gap
            TextButton {
                id: no
                objectName: "no"
                text: qsTr("Cancel")
                onClicked: root.close()
                Keys.onReturnPressed: clicked()
            }
            TextButton {
                objectName: "yes"
                primary: true
                text: root.yes
                onClicked: {
                    root.close();
                    root.accepted();
                }
                Keys.onReturnPressed: clicked()
            }
        }
    }
}
