import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// One document of the library.
ItemDelegate {
    id: root

    required property string sha
    required property string title
    required property string detail
    required property string reading
    required property real fraction
    required property bool usable
    property bool current: false
    signal forgetWanted()

    width: ListView.view ? ListView.view.width : 200
    padding: 10
    leftPadding: 12
    rightPadding: 8
    highlighted: root.current
    Accessible.name: root.title + ", " + root.detail + (root.reading ? ", " + root.reading : "")
    Keys.onDeletePressed: root.forgetWanted()

    contentItem: RowLayout {
        spacing: 4
        ColumnLayout {
            spacing: 3
            Text {
                Layout.fillWidth: true
                text: root.title
                color: root.usable ? Theme.text : Theme.muted
                font.pixelSize: Theme.base
                font.weight: root.current ? Font.DemiBold : Font.Normal
                elide: Text.ElideRight
                wrapMode: Text.Wrap
                maximumLineCount: 2
                textFormat: Text.PlainText
            }
            Text {
                Layout.fillWidth: true
                text: root.detail
                color: Theme.muted
                font.pixelSize: Theme.small
                elide: Text.ElideRight
                wrapMode: root.usable ? Text.NoWrap : Text.Wrap
                maximumLineCount: root.usable ? 1 : 4
                textFormat: Text.PlainText
            }
            ThinBar {
                Layout.fillWidth: true
                Layout.topMargin: 3
                visible: root.fraction >= 0
                fraction: Math.max(0, root.fraction)
            }
        }
        TextButton {
            Layout.alignment: Qt.AlignTop
            visible: root.hovered || root.visualFocus || visualFocus
            implicitWidth: 26
            implicitHeight: 26
            text: "\u00d7"
            Accessible.name: qsTr("Forget %1").arg(root.title)
            onClicked: root.forgetWanted()
        }
    }
    background: Rectangle {
        radius: Theme.radius
        color: root.current ? Theme.soft : root.hovered ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 0
        border.color: Theme.accent
    }
}
