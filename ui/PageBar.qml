import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// Above the pages: which one is shown, and how large.
RowLayout {
    id: root

    required property int page
    required property int pages
    required property int percent
    required property string fit   // "width", "page", or "" where the percentage was chosen
    signal pageWanted(int page)
    signal zoomWanted(int steps)
    signal fitWanted(string fit)

    function edit() {
        number.forceActiveFocus(Qt.ShortcutFocusReason);
        number.selectAll();
    }

    // In a narrow pane the keys are left, and the size's own button.
    readonly property bool roomy: width > Theme.base * 13

    spacing: 2
    TextField {
        id: number
        objectName: "pageNumber"
        readonly property int wanted: parseInt(text) || 0
        implicitWidth: Math.max(44, contentWidth + 20)
        implicitHeight: Math.max(30, Theme.base * 2)
        horizontalAlignment: TextInput.AlignHCenter
        font.pixelSize: Theme.base
        color: Theme.text
        selectByMouse: true
        inputMethodHints: Qt.ImhDigitsOnly
        validator: IntValidator {
            bottom: 1
            top: Math.max(1, root.pages)
        }
        text: root.page
        // What is typed stays as it is while pages go by.
        onActiveFocusChanged: text = activeFocus ? text : Qt.binding(() => root.page)
        onAccepted: root.pageWanted(wanted)
        Keys.onEscapePressed: {
            text = root.page;
            root.pageWanted(root.page);
        }
        Accessible.name: qsTr("Page")
        background: Rectangle {
            radius: Theme.radius
            color: Theme.paper
            border.color: number.activeFocus ? Theme.accent : Theme.edge
        }
    }
    Text {
        Layout.fillWidth: true
        Layout.leftMargin: Theme.gap
        text: qsTr("of %1").arg(root.pages)
        color: Theme.muted
        font.pixelSize: Theme.base
        elide: Text.ElideRight
    }
    TextButton {
        objectName: "zoomOut"
        visible: root.roomy
        implicitWidth: Math.max(32, Theme.base * 1.5)
        text: "−"
        Accessible.name: qsTr("Smaller")
        onClicked: root.zoomWanted(-1)
    }
    TextButton {
        objectName: "zoom"
        implicitWidth: Math.max(64, Theme.base * 3.8)
        text: qsTr("%1 %").arg(root.percent)
        Accessible.name: qsTr("Zoom %1 percent").arg(root.percent)
        onClicked: sizes.popup(0, height)
        PlainMenu {
            id: sizes
            PlainMenuItem {
                text: qsTr("Fit width")
                checkable: true
                checked: root.fit === "width"
                onTriggered: root.fitWanted("width")
            }
            PlainMenuItem {
                text: qsTr("Fit page")
                checkable: true
                checked: root.fit === "page"
                onTriggered: root.fitWanted("page")
            }
        }
    }
    TextButton {
        objectName: "zoomIn"
        visible: root.roomy
        implicitWidth: Math.max(32, Theme.base * 1.5)
        text: "+"
        Accessible.name: qsTr("Larger")
        onClicked: root.zoomWanted(1)
    }
}
