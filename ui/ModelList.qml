pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// The models on this computer, best first. One click or Return takes one; the first is where the keyboard begins.
ListView {
    id: root

    required property ModelController controller
    property real mostHeight: 400
    property bool seen: true   // else there are no rows: a screen reader would find hidden ones
    signal taken()

    implicitHeight: Math.min(root.mostHeight, Math.max(root.contentHeight, root.count > 0 ? Theme.base * 4 : 0))
    clip: true
    spacing: 2
    activeFocusOnTab: true
    keyNavigationEnabled: true
    boundsBehavior: Flickable.StopAtBounds
    model: root.seen ? root.controller.choices : []
    ScrollBar.vertical: ScrollBar {}
    Accessible.role: Accessible.List
    Accessible.name: qsTr("Language models on this computer")

    delegate: ItemDelegate {
        id: choice
        required property var modelData
        required property int index
        objectName: "modelChoice" + index
        width: ListView.view.width
        padding: Theme.gap
        Accessible.name: choice.modelData.name + ". " + choice.modelData.fit + ". " + choice.modelData.detail
        onClicked: {
            if (!choice.modelData.usable)
                return;   // it stays in the list to say why
            root.controller.choose(choice.modelData.file);
            root.taken();
        }
        Keys.onReturnPressed: choice.clicked()
        Keys.onEnterPressed: choice.clicked()
        contentItem: ColumnLayout {
            spacing: 2
            RowLayout {
                Layout.fillWidth: true
                spacing: Theme.gap
                Text {
                    Layout.fillWidth: true
                    text: (choice.modelData.current ? "\u2713 " : "") + choice.modelData.name
                    textFormat: Text.PlainText
                    color: choice.modelData.usable ? Theme.text : Theme.muted
                    font.pixelSize: Theme.base
                    elide: Text.ElideRight
                }
                FitPill {
                    word: choice.modelData.fit
                    usable: choice.modelData.usable
                }
            }
            Text {
                Layout.fillWidth: true
                text: choice.modelData.detail
                textFormat: Text.PlainText
                color: Theme.muted
                font.pixelSize: Theme.small
                wrapMode: Text.WrapAtWordBoundaryOrAnywhere
            }
        }
        background: Rectangle {
            readonly property bool chosen: choice.ListView.isCurrentItem
            readonly property bool reached: chosen && root.activeFocus
            radius: Theme.radius
            color: choice.hovered || chosen ? Theme.hover : "transparent"
            border.width: reached ? 2 : 0
            border.color: Theme.accent
        }
    }
}
