import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// The window: library, chat, pages.
ApplicationWindow {
    id: root

    required property AppController app

    width: 1280
    height: 800
    minimumWidth: 760
    minimumHeight: 480
    visible: true
    title: root.app.library.currentTitle ? root.app.library.currentTitle + " – Carrel" : "Carrel"
    color: Theme.window
    palette {
        window: Theme.pane
        windowText: Theme.text
        base: Theme.paper
        text: Theme.text
        button: Theme.hover
        buttonText: Theme.text
        highlight: Theme.accent
        highlightedText: Theme.accentText
        placeholderText: Theme.muted
        mid: Theme.line
        dark: Theme.muted
    }

    Shortcut {
        sequence: "Ctrl+O"
        onActivated: root.app.chooseDocuments()
    }
    Shortcut {
        sequence: "Ctrl+N"
        onActivated: root.app.chat.newChat()
    }
    Shortcut {
        sequence: "Ctrl+Shift+N"
        enabled: root.app.library.current !== ""
        onActivated: questions.open()
    }
    Shortcut {
        sequence: "Ctrl+M"
        enabled: root.app.library.current !== ""
        onActivated: memory.visible ? memory.close() : memory.open()
    }
    Shortcut {
        sequence: "Esc"   // what is open closes first
        enabled: memory.visible || root.app.chat.answering
        onActivated: memory.visible ? memory.close() : root.app.chat.stop()
    }
    Shortcut {
        sequence: "Ctrl+L"
        onActivated: chat.input.forceActiveFocus(Qt.ShortcutFocusReason)
    }
    Shortcut {
        sequence: "Ctrl+G"
        onActivated: pages.choosePage()
    }
    Shortcut {
        sequences: ["Ctrl++", "Ctrl+="]
        onActivated: pages.zoom(1)
    }
    Shortcut {
        sequence: "Ctrl+-"
        onActivated: pages.zoom(-1)
    }
    Shortcut {
        sequence: "Ctrl+0"
        onActivated: pages.fit("width")
    }
    Shortcut {
        sequence: "Ctrl+9"
        onActivated: pages.fit("page")
    }
    Shortcut {
        sequence: "Ctrl+Q"
        onActivated: root.close()
    }
    Shortcut {
        sequence: "F6"
        onActivated: root.nextPane(1)
    }
    Shortcut {
        sequence: "Shift+F6"
        onActivated: root.nextPane(-1)
    }
    function nextPane(step: int) {
        const panes = [library, chat.conversation, chat.input, pages.view];
        let now = -1;
        for (let i = 0; i < panes.length; ++i)
            if (panes[i].activeFocus)
                now = i;
        panes[(now + step + panes.length) % panes.length].forceActiveFocus(Qt.TabFocusReason);
    }

    ColumnLayout {
        anchors.fill: parent
        spacing: 0
        ErrorBanner {
            Layout.fillWidth: true
            sentence: root.app.problem
            onDismissed: root.app.dismissProblem()
        }
        SplitView {
            Layout.fillWidth: true
            Layout.fillHeight: true
            handle: Rectangle {
                id: handle
                implicitWidth: 1
                color: SplitHandle.hovered || SplitHandle.pressed ? Theme.accent : Theme.line
                containmentMask: Item {   // thin to see, wide to grasp
                    x: -4
                    width: 9
                    height: handle.height
                }
            }
            LibraryPane {
                id: library
                SplitView.preferredWidth: 240
                SplitView.minimumWidth: 170
                library: root.app.library
                model: root.app.model
                onAddWanted: root.app.chooseDocuments()
                onModelFileWanted: root.app.chooseModel()
            }
            ChatPane {
                id: chat
                SplitView.fillWidth: true
                SplitView.minimumWidth: 340
                focus: true
                app: root.app
                onLinkWanted: (address) => link.ask(address)
                onListWanted: questions.open()
                onMemoryWanted: memory.open()
            }
            PagePane {
                id: pages
                SplitView.preferredWidth: 460
                // The memory panel lies over it, and over nothing else.
                SplitView.minimumWidth: memory.visible ? Math.max(220, Math.min(480, root.width - 520)) : 220
                visible: root.app.library.current !== ""
                pages: root.app.pages
            }
        }
    }
    DropArea {
        id: drop
        objectName: "drop"
        anchors.fill: parent
        keys: ["text/uri-list"]
        onDropped: (event) => {
            event.acceptProposedAction();
            root.app.library.addFiles(event.urls);
        }
        Rectangle {
            anchors.fill: parent
            visible: drop.containsDrag
            color: Theme.soft
            opacity: 0.92
            Text {
                anchors.centerIn: parent
                text: qsTr("Drop to add to the library")
                color: Theme.accent
                font.pixelSize: Theme.title
            }
        }
    }
    MemoryPanel {
        id: memory
        objectName: "memoryPanel"
        tiers: root.app.tiers
        width: pages.width
    }
    QuestionsDialog {
        id: questions
        objectName: "questionsDialog"
        ready: chat.ready
        onAsked: (list) => root.app.chat.askAll(list)
    }
    Connections {
        target: root.app.chat
        function onListSaved() {
            questions.clear();
        }
    }
    PasswordDialog { library: root.app.library }
    ConfirmDialog {
        id: link
        property string address
        function ask(where: string) {
            address = where;
            body = where;
            open();
        }
        heading: qsTr("Open this link in your browser?")
        yes: qsTr("Open")
        onAccepted: root.app.openLink(address)
    }
}
