import QtQuick
import QtQuick.Controls
import QtQuick.Layouts

// What is looked for in the document, and which of the hits is shown.
Rectangle {
    id: root

    required property int hits   // -1: nothing is looked for
    required property int hit    // from 1
    signal wordsWanted(string words)
    signal stepWanted(int step)
    signal closed()

    function show(text: string) {   // what is looked for already
        words.text = text;
    }
    function edit() {
        words.forceActiveFocus(Qt.ShortcutFocusReason);
        words.selectAll();
        typed.restart();
    }

    implicitHeight: row.implicitHeight + 2 * Theme.gap
    color: Theme.pane
    Line {
        anchors.bottom: parent.bottom
        width: parent.width
    }
    Timer {
        id: typed
        interval: 150
        onTriggered: root.wordsWanted(words.text)
    }
    RowLayout {
        id: row
        anchors.fill: parent
        anchors.margins: Theme.gap
        spacing: 2
        TextField {
            id: words
            objectName: "findWords"
            Layout.fillWidth: true
            implicitHeight: Math.max(32, Theme.base * 2.1)
            leftPadding: 10
            placeholderText: qsTr("Find in the document")
            font.pixelSize: Theme.base
            color: Theme.text
            selectByMouse: true
            Accessible.name: qsTr("Find in the document")
            onTextEdited: typed.restart()
            Keys.onEscapePressed: root.closed()
            Keys.onPressed: (event) => {
                if (event.key !== Qt.Key_Return && event.key !== Qt.Key_Enter)
                    return;
                event.accepted = true;
                if (typed.running) {
                    typed.stop();
                    root.wordsWanted(text);
                } else {
                    root.stepWanted(event.modifiers & Qt.ShiftModifier ? -1 : 1);
                }
            }
            background: Rectangle {
                radius: Theme.radius
                color: Theme.paper
                border.color: words.activeFocus ? Theme.accent : Theme.edge
            }
        }
        Text {
            objectName: "findCount"
            Layout.leftMargin: Theme.gap
            text: root.hits < 0 ? "" : root.hits === 0 ? qsTr("None") : qsTr("%1 of %2").arg(root.hit).arg(root.hits)
            color: Theme.muted
            font.pixelSize: Theme.base
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        TextButton {
            implicitWidth: implicitHeight
            text: "\u2191"
            enabled: root.hits > 0
            Accessible.name: qsTr("Previous hit")
            onClicked: root.stepWanted(-1)
        }
        TextButton {
            implicitWidth: implicitHeight
            text: "\u2193"
            enabled: root.hits > 0
            Accessible.name: qsTr("Next hit")
            onClicked: root.stepWanted(1)
        }
        TextButton {
            implicitWidth: implicitHeight
            text: "\u00d7"
            Accessible.name: qsTr("Close the search")
            onClicked: root.closed()
        }
    }
}
