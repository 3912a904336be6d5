import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import Carrel.app

// The window: library, chat, pages.
ApplicationWindow {
    id: root

    required property AppController app

    readonly property size size: root.app.look.windowSize.width > 0 ? root.app.look.windowSize : Qt.size(1280, 800)
    width: size.width
    height: size.height
    minimumWidth: Math.min(Screen.desktopAvailableWidth, Math.max(760, Theme.base * 40))
    minimumHeight: Math.min(Screen.desktopAvailableHeight, Math.max(480, Theme.base * 26))
    visible: true
    visibility: root.app.look.maximized ? Window.Maximized : Window.Windowed
    onClosing: root.app.look.keepWindow(Qt.size(root.width, root.height), root.visibility === Window.Maximized || root.visibility === Window.FullScreen)
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
        mid: Theme.edge
        dark: Theme.muted
    }

    // What the keyboard does, wherever the focus is; F1 shows it.
    readonly property var keys: [
        { sequences: ["F1"], text: qsTr("Show these keys"), run: () => help.open() },
        { sequences: ["Ctrl+O"], text: qsTr("Add documents"), run: () => root.app.chooseDocuments() },
        { sequences: ["Ctrl+N"], text: qsTr("Begin a new chat"), run: () => root.app.chat.newChat() },
        { sequences: ["Ctrl+L"], text: qsTr("Write a question"), run: () => chat.input.forceActiveFocus(Qt.ShortcutFocusReason) },
        { sequences: ["Ctrl+Shift+N"], text: qsTr("Ask several questions together"), run: () => questions.open(), when: () => root.app.library.current !== "" },
        // What is open closes first.
        { sequences: ["Esc"], text: qsTr("Close what is open, or stop the answer"), run: () => memory.visible ? memory.close() : root.app.chat.stop(), when: () => memory.visible || root.app.chat.answering },
        { sequences: ["Ctrl+M"], text: qsTr("Show where the document's memory is"), run: () => memory.visible ? memory.close() : memory.open(), when: () => root.app.library.current !== "" },
        { sequences: ["Ctrl+F"], text: qsTr("Find in the document"), run: () => pages.find() },
        { sequences: ["Ctrl+Shift+F"], text: qsTr("Find in all documents"), run: () => library.find() },
        { sequences: ["F3"], text: qsTr("Next hit"), run: () => root.app.pages.nextHit(1) },
        { sequences: ["Shift+F3"], text: qsTr("Previous hit"), run: () => root.app.pages.nextHit(-1) },
        { sequences: ["Ctrl+G"], text: qsTr("Go to a page"), run: () => pages.choosePage() },
        { sequences: ["Ctrl+Shift+O"], text: qsTr("Table of contents"), run: () => pages.showOutline() },
        { sequences: ["Alt+Left"], text: qsTr("Back to where you were in the document"), run: () => root.app.pages.navigator.back() },
        { sequences: ["Ctrl+Shift+L"], text: qsTr("Ask about the words chosen on the page"), run: () => chat.quote(root.app.pages.selection.quotation()), when: () => root.app.pages.selection.any },
        { sequences: ["Ctrl++", "Ctrl+="], text: qsTr("Larger pages"), run: () => pages.zoom(1) },
        { sequences: ["Ctrl+-"], text: qsTr("Smaller pages"), run: () => pages.zoom(-1) },
        { sequences: ["Ctrl+0"], text: qsTr("Pages as wide as their pane"), run: () => pages.fit("width") },
        { sequences: ["Ctrl+9"], text: qsTr("Whole pages"), run: () => pages.fit("page") },
        { sequences: ["Ctrl+Z"], text: qsTr("Undo forgetting"), run: () => root.app.library.forgetting.undo(), when: () => root.app.library.forgetting.sentence !== "" },
        { sequences: ["F6"], text: qsTr("Next part of the window"), run: () => root.nextPane(1) },
        { sequences: ["Shift+F6"], text: qsTr("Previous part of the window"), run: () => root.nextPane(-1) },
        { sequences: ["Ctrl+,"], text: qsTr("Settings"), run: () => settings.open() },
        { sequences: ["Ctrl+Q"], text: qsTr("Close Carrel"), run: () => root.close() }
    ]
    Instantiator {
        model: root.keys
        delegate: Shortcut {
            required property var modelData
            sequences: modelData.sequences
            enabled: modelData.when === undefined || modelData.when()
            onActivated: modelData.run()
        }
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
            remedy: root.app.remedy
            onUsed: root.app.useRemedy()
            onDismissed: root.app.dismissProblem()
        }
        SplitView {
            Layout.fillWidth: true
            Layout.fillHeight: true
            onResizingChanged: if (!resizing) keep()
            // Not saveState(): its widths would give way to these bindings at the next change of the window's width.
            function keep() {
                if (Math.abs(library.width - library.usual) > 1)
                    root.app.look.libraryWidth = library.width;
                if (pages.visible && Math.abs(pages.width - Math.min(pages.usual, pages.most)) > 1)
                    root.app.look.pagesWidth = pages.width;
            }
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
                readonly property real usual: Math.min(root.width * 0.28, Math.max(240, Theme.base * 17))
                SplitView.preferredWidth: root.app.look.libraryWidth > 0 ? root.app.look.libraryWidth : usual
                SplitView.minimumWidth: 170
                SplitView.maximumWidth: Math.max(170, root.width - chat.least - 222)
                library: root.app.library
                finding: root.app.finding
                model: root.app.model
                onAddWanted: root.app.chooseDocuments()
                onModelFileWanted: root.app.chooseModel()
                onSettingsWanted: settings.open()
            }
            ChatPane {
                id: chat
                readonly property real least: Math.max(320, Theme.base * 14)
                SplitView.fillWidth: true
                SplitView.minimumWidth: least
                focus: true
                app: root.app
                onLinkWanted: (address) => link.ask(address)
                onListWanted: questions.open()
                onMemoryWanted: memory.open()
            }
            PagePane {
                id: pages
                // A split view makes room only in the part that fills it: else these pages end outside a small window.
                readonly property real most: Math.max(220, root.width - library.width - chat.least - 2)
                readonly property real usual: Math.max(460, (root.width - library.width) / 2)
                SplitView.preferredWidth: root.app.look.pagesWidth > 0 ? root.app.look.pagesWidth : usual
                SplitView.maximumWidth: most
                // The memory panel lies over it, and over nothing else where there is room.
                SplitView.minimumWidth: memory.visible ? Math.min(480, most) : 220
                visible: root.app.library.current !== ""
                pages: root.app.pages
                onCopyWanted: (text) => root.app.copy(text)
                onAskWanted: (quotation) => chat.quote(quotation)
                heat: root.app.heat
            }
        }
        UndoBar {
            Layout.fillWidth: true
            forgetting: root.app.library.forgetting
        }
    }
    Item {   // what appears here is read out, and not seen
        id: announcer
        objectName: "announcer"
        width: 1
        height: 1
        visible: false
        Accessible.role: Accessible.AlertMessage
        Accessible.name: root.app.announcement
        Accessible.onNameChanged: announcer.visible = root.app.announcement !== ""   // its words are there before it appears
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
        memory: root.app.memory
        processor: root.app.processor
        onCopyWanted: (text) => root.app.copy(text)
        width: Math.max(pages.width, Math.min(480, root.width - 24))
    }
    QuestionsDialog {
        id: questions
        objectName: "questionsDialog"
        ready: chat.ready
        onAsked: (list) => root.app.chat.askAll(list)
    }
    Connections {
        target: root.app.pages.navigator
        function onAddressWanted(address: string) {
            link.ask(address);
        }
    }
    Connections {
        target: root.app
        function onSpaceWanted() {
            library.forceActiveFocus(Qt.OtherFocusReason);
        }
    }
    Connections {
        target: root.app.chat
        function onListSaved() {
            questions.clear();
        }
    }
    SettingsDialog {
        id: settings
        objectName: "settingsDialog"
        app: root.app
    }
    Binding {
        target: Theme
        property: "shade"
        value: root.app.look.shade
    }
    Binding {
        target: Theme
        property: "textPercent"
        value: root.app.look.textPercent
    }
    KeysDialog {
        id: help
        objectName: "keysDialog"
        keys: root.keys
    }
    PasswordDialog { library: root.app.library }
    MoveDialog {
        objectName: "moveDialog"
        mover: root.app.mover
    }
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
