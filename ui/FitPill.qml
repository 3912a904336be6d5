import QtQuick

// How well a model suits this computer, in a word: the colour says nothing more.
Rectangle {
    id: root

    required property string word   // "fits", "slow", "won't fit", "not usable"; empty: nothing is known
    required property bool usable

    visible: root.word !== ""
    implicitWidth: label.implicitWidth + Theme.base
    implicitHeight: label.implicitHeight + 4
    radius: height / 2
    color: "transparent"
    border.color: label.color
    Text {
        id: label
        anchors.centerIn: parent
        text: root.word
        color: root.usable ? Theme.accent : Theme.muted
        font.pixelSize: Theme.small
    }
}
