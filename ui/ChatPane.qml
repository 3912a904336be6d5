import QtQuick
import QtQuick.Layouts
import Carrel.app

// Middle: the document's name, how far it is read, the chat and the composer.
FocusScope {
    id: root

    required property AppController app
    readonly property Item conversation: view
    readonly property Item input: composer
    readonly property bool ready: root.app.chat.current !== "" && (root.app.model.state === ModelController.Loaded || root.app.model.state === ModelController.Loading)
    function quote(quotation: string) {
        if (quotation !== "")
            composer.quote(quotation);
    }
    signal linkWanted(string address)
    signal listWanted()
    signal memoryWanted()

    Rectangle {
        anchors.fill: parent
        color: Theme.paper
    }
    EmptyState {
        anchors.fill: parent
        visible: root.app.library.current === ""
        onAddWanted: root.app.chooseDocuments()
    }
    ColumnLayout {
        anchors.fill: parent
        visible: root.app.library.current !== ""
        spacing: 0

        GridLayout {   // at large sizes the buttons go below the title
            Layout.fillWidth: true
            Layout.minimumHeight: Theme.barHeight
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.gap
            columns: root.width < Theme.base * 26 ? 1 : 2
            columnSpacing: 2
            rowSpacing: 0
            Text {
                objectName: "title"
                Layout.fillWidth: true
                Layout.topMargin: parent.columns === 1 ? 12 : 0
                text: root.app.library.currentTitle
                textFormat: Text.PlainText
                color: Theme.text
                font.pixelSize: Theme.large
                font.weight: Font.DemiBold
                elide: Text.ElideMiddle
                Accessible.role: Accessible.Heading
                Accessible.name: text
            }
            RowLayout {
                Layout.alignment: Qt.AlignRight
                spacing: 2
                ChatMenu {
                    objectName: "chats"
                    chat: root.app.chat
                    onListWanted: root.listWanted()
                }
                TextButton {
                    objectName: "newChat"
                    text: qsTr("New chat")
                    onClicked: root.app.chat.newChat()
                }
            }
        }
        Line { Layout.fillWidth: true }
        ReadingBar {
            Layout.fillWidth: true
            reading: root.app.reading
            onCancelWanted: root.app.library.forgetReading(root.app.library.current)
            onMemoryWanted: root.memoryWanted()
        }
        Line {
            Layout.fillWidth: true
            visible: root.app.reading.state !== ReadingController.None
        }
        ConversationView {
            id: view
            objectName: "conversation"
            Layout.fillWidth: true
            Layout.fillHeight: true
            activeFocusOnTab: true
            model: root.app.chat.conversation
            onSourceOpened: (turn, index) => root.app.chat.openSource(turn, index)
            onLinkWanted: (address) => root.linkWanted(address)
            onCopyWanted: (text) => root.app.copy(text)
            onPagesWanted: (turn) => root.app.chat.showPages(turn)
            onRemedyWanted: (turn) => root.app.chat.remedy(turn)

            Text {
                anchors.centerIn: parent
                width: parent.width - 96
                visible: view.count === 0 && !missing.visible && implicitHeight < view.height
                text: root.app.reading.fraction < 1
                    ? qsTr("Ask right away: an answer says which pages it had.")
                    : qsTr("Ask about this document. An answer names the places it was read from.")
                color: Theme.muted
                font.pixelSize: Theme.base
                horizontalAlignment: Text.AlignHCenter
                wrapMode: Text.Wrap
            }
        }
        ModelMissing {
            id: missing
            Layout.fillWidth: true
            Layout.leftMargin: Theme.pad
            Layout.rightMargin: Theme.pad
            model: root.app.model
            mostHeight: root.height * 0.6
            onOtherWanted: root.app.chooseModel()
            onTaken: composer.forceActiveFocus(Qt.OtherFocusReason)   // what one does next
        }
        ListProgress {
            Layout.fillWidth: true
            total: root.app.chat.listTotal
            ended: root.app.chat.listEnded
        }
        Composer {
            id: composer
            Layout.fillWidth: true
            focus: true
            answering: root.app.chat.answering
            ready: root.ready
            onAsked: (question) => {
                view.follow = true;
                root.app.chat.ask(question);
            }
            onStopWanted: root.app.chat.stop()
            onEdited: (draft) => root.app.chat.edit(draft)
        }
    }
    Connections {
        target: root.app.chat
        function onDraftReplaced() {
            composer.text = root.app.chat.draft;
        }
        function onCurrentChanged() {
            view.follow = true;
        }
        function onListChanged() {
            if (root.app.chat.listTotal > 0)
                view.follow = false;   // several answers grow: the first one stays in view
        }
    }
}
