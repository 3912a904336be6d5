import QtQuick
import QtQuick.Controls
import Carrel.app

// The chat: one row per block. It stays at its end while an answer is written, unless the person has scrolled away.
ListView {
    id: root

    signal sourceOpened(var turn, int index)
    signal linkWanted(string address)
    signal copyWanted(string text)
    signal pagesWanted(var turn)
    signal remedyWanted(var turn)

    property bool follow: true
    readonly property real column: Math.min(Theme.readable, width - 2 * Theme.pad - 8)

    clip: true
    reuseItems: false
    cacheBuffer: 600
    bottomMargin: 12
    boundsBehavior: Flickable.StopAtBounds
    keyNavigationEnabled: false
    onContentHeightChanged: if (follow) toEnd.restart()
    onHeightChanged: if (follow) toEnd.restart()
    onMovementEnded: follow = atYEnd
    onMovementStarted: follow = false
    Keys.onUpPressed: flick(0, 700)
    Keys.onDownPressed: flick(0, -700)
    Keys.onPressed: (event) => {
        if (event.key === Qt.Key_PageUp || event.key === Qt.Key_PageDown) {
            event.accepted = true;
            flick(0, event.key === Qt.Key_PageUp ? 2000 : -2000);
        }
    }
    ScrollBar.vertical: ScrollBar {
        onPressedChanged: root.follow = !pressed && root.atYEnd
    }
    Accessible.role: Accessible.List
    Accessible.name: qsTr("Conversation")

    Timer {
        id: toEnd   // once per batch of rows
        interval: 0
        onTriggered: root.positionViewAtEnd()
    }
    // Qt 6.4's Loader refuses bound components, so that these names cannot be proven.
    // qmllint disable unqualified
    delegate: Item {
        id: row

        required property int kind
        required property string html
        required property string plain
        required property string language
        required property int level
        required property int columns
        required property var cells
        required property var turn
        required property var sources
        required property bool open
        required property bool failed
        required property string answer
        required property bool pages
        required property string remedy

        width: ListView.view ? ListView.view.width : 0
        height: body.height
        Accessible.role: Accessible.Paragraph
        Accessible.name: (row.kind === ConversationModel.Question ? qsTr("You: ") : "") + row.plain

        Loader {
            id: body
            x: Math.max(Theme.pad, (row.width - root.column) / 2)
            width: root.column
            sourceComponent: row.componentOf(row.kind)
        }
        function componentOf(which: int): Component {
            switch (which) {
            case ConversationModel.Question: return question;
            case ConversationModel.Code: return code;
            case ConversationModel.Table: return table;
            case ConversationModel.Sources: return places;
            case ConversationModel.Note: return note;
            case ConversationModel.Rule: return rule;
            default: return words;
            }
        }
        Component {
            id: question
            QuestionRow { plain: row.plain }
        }
        Component {
            id: words
            TextRow {
                html: row.html
                level: row.kind === ConversationModel.Heading ? row.level : 0
                quote: row.kind === ConversationModel.Quote
                onLinkWanted: (address) => root.linkWanted(address)
            }
        }
        Component {
            id: code
            CodeRow {
                plain: row.plain
                language: row.language
                onCopyWanted: (text) => root.copyWanted(text)
            }
        }
        Component {
            id: table
            TableRow {
                columns: row.columns
                cells: row.cells
            }
        }
        Component {
            id: places
            SourcesRow {
                sources: row.sources
                sentence: row.plain
                onOpened: (index) => root.sourceOpened(row.turn, index)
                onCopyWanted: (text) => root.copyWanted(text)
            }
        }
        Component {
            id: note
            NoteRow {
                plain: row.plain
                answer: row.answer
                open: row.open
                failed: row.failed
                pages: row.pages
                remedy: row.remedy
                onRemedyWanted: root.remedyWanted(row.turn)
                onCopyWanted: (text) => root.copyWanted(text)
                onPagesWanted: root.pagesWanted(row.turn)
            }
        }
        Component {
            id: rule
            Item {
                implicitHeight: 17
                Line {
                    y: 8
                    width: parent.width
                }
            }
        }
    }
    // qmllint enable unqualified
}
