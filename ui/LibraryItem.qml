import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// One document of the library: its title, its state, what it takes.
ItemDelegate {
    id: root

    required property string sha
    required property string title
    required property string stateName
    required property string brief
    required property string full
    required property real fraction
    required property bool usable
    required property bool read
    property bool current: false
    signal menuWanted(real x, real y)
    signal forgetWanted()

    width: ListView.view ? ListView.view.width : 200
    padding: 10
    leftPadding: 12
    rightPadding: 8
    highlighted: root.current
    Accessible.name: root.title + ", " + root.stateName
    Accessible.description: root.full
    Keys.onDeletePressed: root.forgetWanted()
    Keys.onMenuPressed: root.menuWanted(width / 2, height)
    Keys.onPressed: (event) => {
        if (event.key !== Qt.Key_F10 || !(event.modifiers & Qt.ShiftModifier))
            return;
        event.accepted = true;
        root.menuWanted(width / 2, height);
    }
    TapHandler {
        acceptedButtons: Qt.RightButton
        onTapped: (point) => root.menuWanted(point.position.x, point.position.y)
    }
    ToolTip {
        objectName: "documentDetails"
        readonly property bool wanted: root.visible && (root.hovered || root.visualFocus) && root.full !== ""
        visible: wanted   // only where that changes: else every page that is read would begin the delay anew
        delay: 800
        x: root.width + 4
        y: 0
        padding: 10
        width: Math.min(implicitWidth, Theme.base * 28)
        contentItem: Text {
            text: root.title + "\n" + root.full
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.small
            wrapMode: Text.WrapAtWordBoundaryOrAnywhere
        }
        background: Rectangle {
            radius: Theme.radius
            color: Theme.raised
            border.color: Theme.edge
        }
    }

    contentItem: ColumnLayout {
        spacing: 3
        RowLayout {
            Layout.fillWidth: true
            spacing: 4
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
            TextButton {
                objectName: "menuOf" + root.title
                Layout.alignment: Qt.AlignTop
                Layout.topMargin: -3
                Layout.bottomMargin: -3
                opacity: root.hovered || root.visualFocus || visualFocus || root.current ? 1 : 0
                implicitWidth: implicitHeight
                implicitHeight: Math.max(24, Theme.base * 1.7)
                text: "\u22ef"
                Accessible.name: qsTr("Menu of %1").arg(root.title)
                onClicked: {
                    const place = mapToItem(root, 0, height);
                    root.menuWanted(place.x, place.y);
                }
            }
        }
        Text {
            objectName: "documentState"
            Layout.fillWidth: true
            text: root.stateName
            color: Theme.muted
            font.pixelSize: Theme.small
            elide: Text.ElideRight
            wrapMode: Text.Wrap
            maximumLineCount: 4
            textFormat: Text.PlainText
        }
        Text {
            Layout.fillWidth: true
            text: root.brief.split(" · ").map(part => part.replace(/ /g, "\u00a0")).join(" · ")   // lines break between facts
            color: Theme.muted
            font.pixelSize: Theme.small
            elide: Text.ElideRight
            wrapMode: Text.Wrap
            maximumLineCount: 2
            textFormat: Text.PlainText
        }
        ThinBar {
            Layout.fillWidth: true
            Layout.topMargin: 3
            visible: root.fraction >= 0
            fraction: Math.max(0, root.fraction)
        }
    }
    background: Rectangle {
        radius: Theme.radius
        color: root.current ? Theme.soft : root.hovered ? Theme.hover : "transparent"
        border.width: root.visualFocus ? 2 : 0
        border.color: Theme.accent
    }
}
