import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// Several questions, one a line, asked together. What was typed stays until all of it is saved.
Popup {
    id: root

    property bool ready: true   // there is somebody to ask
    readonly property var questions: area.text.split("\n").map(line => line.replace(/^\s*(\d+[.)]|[-*\u2022])\s+/, "").trim()).filter(line => line !== "")
    readonly property alias input: area
    signal asked(var list)

    function clear() {
        area.clear();
    }
    function send() {
        if (root.questions.length === 0 || !root.ready)
            return;
        const list = root.questions;
        root.close();
        root.asked(list);
    }

    parent: Overlay.overlay
    anchors.centerIn: parent
    width: Math.min(Theme.base * 43, parent ? parent.width - 48 : 600)
    height: Math.min(Theme.base * 36, parent ? parent.height - 48 : 500)
    padding: 24
    modal: true
    focus: true
    background: Rectangle {
        radius: Theme.radius + 4
        color: Theme.raised
        border.color: Theme.edge
    }
    onOpened: area.forceActiveFocus()

    ColumnLayout {
        anchors.fill: parent
        spacing: 12
        Text {
            Layout.fillWidth: true
            text: qsTr("Ask several questions")
            color: Theme.text
            font.pixelSize: Theme.large
            font.weight: Font.DemiBold
            Accessible.role: Accessible.Heading
            Accessible.name: text
        }
        Text {
            Layout.fillWidth: true
            text: qsTr("One a line. They are answered at the same time in a chat of their own; none knows of the others.")
            color: Theme.muted
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        Rectangle {
            Layout.fillWidth: true
            Layout.fillHeight: true
            Layout.minimumHeight: 80
            radius: Theme.radius
            color: Theme.paper
            border.width: area.activeFocus ? 2 : 1
            border.color: area.activeFocus ? Theme.accent : Theme.edge
            ScrollView {
                anchors.fill: parent
                anchors.margins: 4
                TextArea {
                    id: area
                    objectName: "questions"
                    placeholderText: qsTr("Type or paste questions")
                    placeholderTextColor: Theme.muted
                    color: Theme.text
                    selectionColor: Theme.accent
                    selectedTextColor: Theme.accentText
                    font.pixelSize: Theme.base
                    wrapMode: TextArea.Wrap
                    textFormat: TextEdit.PlainText
                    background: null
                    Accessible.name: qsTr("Questions, one a line")
                    Keys.onPressed: (event) => {
                        const enter = event.key === Qt.Key_Return || event.key === Qt.Key_Enter;
                        if (!enter || !(event.modifiers & Qt.ControlModifier))
                            return;
                        event.accepted = true;
                        root.send();
                    }
                    Keys.onEscapePressed: root.close()
                    Keys.onTabPressed: nextItemInFocusChain(true).forceActiveFocus(Qt.TabFocusReason)
                    Keys.onBacktabPressed: nextItemInFocusChain(false).forceActiveFocus(Qt.BacktabFocusReason)
                }
            }
        }
        ListView {
            id: list
            objectName: "numbered"
            Layout.fillWidth: true
            Layout.preferredHeight: Math.min(contentHeight, 170)
            visible: count > 0
            clip: true
            boundsBehavior: Flickable.StopAtBounds
            model: root.questions
            ScrollBar.vertical: ScrollBar {}
            Accessible.role: Accessible.List
            Accessible.name: qsTr("Questions to be asked")
            delegate: Text {
                required property int index
                required property string modelData
                width: ListView.view ? ListView.view.width - 12 : 0
                height: implicitHeight + 4
                text: qsTr("%1. %2").arg(index + 1).arg(modelData)
                textFormat: Text.PlainText
                color: Theme.text
                font.pixelSize: Theme.small
                elide: Text.ElideRight
                maximumLineCount: 1
                Accessible.role: Accessible.ListItem
                Accessible.name: text
            }
        }
        RowLayout {
            Layout.fillWidth: true
            spacing: Theme.gap
            Text {
                Layout.fillWidth: true
                text: root.ready ? qsTr("Ctrl+Enter asks") : qsTr("Choose a model first")
                color: Theme.muted
                font.pixelSize: Theme.small
                wrapMode: Text.Wrap
            }
            TextButton {
                text: qsTr("Cancel")
                onClicked: root.close()
                Keys.onReturnPressed: clicked()
            }
            TextButton {
                objectName: "askAll"
                primary: true
                enabled: root.ready && root.questions.length > 0
                text: root.questions.length < 2 ? qsTr("Ask") : qsTr("Ask %1 questions").arg(root.questions.length)
                onClicked: root.send()
                Keys.onReturnPressed: clicked()
            }
        }
    }
}
