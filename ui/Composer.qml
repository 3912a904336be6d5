import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// Where a question is written. Enter sends, Shift+Enter makes a line, Esc stops the answer.
FocusScope {
    id: root

    required property bool answering
    property alias text: area.text
    property bool ready: true         // there is a chat to ask in
    signal asked(string question)
    signal stopWanted()
    signal edited(string draft)

    implicitHeight: frame.implicitHeight + 24

    // Puts words that a question is about in front of what is written.
    function quote(quotation: string) {
        area.text = quotation + "\n" + area.text;
        area.cursorPosition = area.length;
        area.forceActiveFocus(Qt.OtherFocusReason);
    }
    function send() {
        if (area.text.trim() !== "" && !root.answering && root.ready)
            root.asked(area.text);
    }

    Rectangle {
        id: frame
        anchors {
            left: parent.left
            right: parent.right
            verticalCenter: parent.verticalCenter
            leftMargin: Theme.pad
            rightMargin: Theme.pad
        }
        implicitHeight: row.implicitHeight + 12
        radius: Theme.radius + 4
        color: Theme.paper
        border.width: area.activeFocus ? 2 : 1
        border.color: area.activeFocus ? Theme.accent : Theme.edge

        RowLayout {
            id: row
            anchors {
                left: parent.left
                right: parent.right
                verticalCenter: parent.verticalCenter
                leftMargin: 6
                rightMargin: 8
            }
            spacing: Theme.gap
            ScrollView {
                focus: true   // a focus scope of its own
                Layout.fillWidth: true
                Layout.preferredHeight: Math.min(140, Math.max(36, area.implicitHeight))
                TextArea {
                    id: area
                    objectName: "composer"
                    focus: true
                    placeholderText: width < Theme.base * 14 ? qsTr("Your question") : qsTr("Ask about this document")
                    placeholderTextColor: Theme.muted
                    color: Theme.text
                    selectionColor: Theme.accent
                    selectedTextColor: Theme.accentText
                    font.pixelSize: Theme.base
                    wrapMode: TextArea.Wrap
                    textFormat: TextEdit.PlainText
                    background: null
                    Accessible.name: qsTr("Question")
                    onTextChanged: root.edited(text)
                    Keys.onPressed: (event) => {
                        const enter = event.key === Qt.Key_Return || event.key === Qt.Key_Enter;
                        if (!enter || (event.modifiers & Qt.ShiftModifier))
                            return;
                        event.accepted = true;
                        root.send();
                    }
                    Keys.onTabPressed: nextItemInFocusChain(true).forceActiveFocus(Qt.TabFocusReason)
                    Keys.onBacktabPressed: nextItemInFocusChain(false).forceActiveFocus(Qt.BacktabFocusReason)
                }
            }
            TextButton {
                objectName: root.answering ? "stop" : "send"
                Layout.alignment: Qt.AlignBottom
                Layout.bottomMargin: 2
                primary: true
                enabled: root.answering || (area.text.trim() !== "" && root.ready)
                text: root.answering ? qsTr("Stop") : qsTr("Ask")
                Accessible.name: root.answering ? qsTr("Stop the answer") : qsTr("Ask")
                onClicked: root.answering ? root.stopWanted() : root.send()
            }
        }
    }
}
