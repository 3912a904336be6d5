pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts
import QtQuick.Window

// One page: its image, and rectangles over the words that are marked.
Item {
    id: root

    required property int page          // from 1
    required property real pointWidth
    required property real pointHeight
    required property string html       // of a paragraph, where the document has no pages
    required property var found         // rectangles in points: what is looked for
    required property var chosen        // rectangles in points: words chosen by the person
    required property bool mute         // no text was read on it
    required property string problem    // a sentence where it could not be drawn; else empty
    property string document
    property int attempt: 0
    readonly property string address: page > 0 && document !== "" && imageWidth > 0 ? "image://page/" + document + "/" + page : ""
    property real imageWidth: 0         // device-independent pixels; settles after a change of size
    property var marks: []              // rectangles in points
    signal textChosen(string text)      // of a paragraph
    function forgetChoice() {
        words.deselect();
    }
    readonly property real scaling: width / Math.max(1, pointWidth)

    // A zero height would make the list create every page at once.
    height: page > 0 ? Math.max(40, width * pointHeight / Math.max(1, pointWidth)) : words.implicitHeight + 14
    Accessible.role: Accessible.Paragraph
    Accessible.name: problem !== "" ? problem : page > 0 ? qsTr("Page %1").arg(page) : words.getText(0, words.length)

    Rectangle {
        anchors.fill: parent
        visible: root.page > 0
        color: "white"
        border.color: Theme.line
        Text {
            anchors.centerIn: parent
            visible: image.status !== Image.Ready && draft.status !== Image.Ready && root.problem === ""
            text: root.page
            color: "#6b6b6b"   // on white, in the dark too
            font.pixelSize: Theme.base
        }
        Image {   // there first, and while another size is drawn
            id: draft
            anchors.fill: parent
            asynchronous: true
            cache: false
            visible: image.status !== Image.Ready
            source: root.address === "" || root.problem !== "" ? "" : root.address + "/draft"
            sourceSize.width: 240
        }
        Image {
            id: image
            objectName: "sharp"
            anchors.fill: parent
            asynchronous: true
            cache: false
            // One that failed is asked for again by the person, not by scrolling.
            source: root.address === "" || (root.problem !== "" && root.attempt === 0) ? "" : root.address + "/" + root.attempt
            sourceSize.width: Math.min(4096, Math.round(root.imageWidth * Screen.devicePixelRatio))
        }
        ColumnLayout {
            anchors.centerIn: parent
            width: Math.min(parent.width, Theme.base * 22) - 2 * Theme.pad
            visible: root.problem !== ""
            spacing: Theme.gap
            Text {
                Layout.fillWidth: true
                text: root.problem
                textFormat: Text.PlainText
                color: "#5c5c5c"
                font.pixelSize: Theme.base
                horizontalAlignment: Text.AlignHCenter
                wrapMode: Text.Wrap
            }
            TextButton {
                objectName: "drawAgain"
                Layout.alignment: Qt.AlignHCenter
                primary: true
                text: qsTr("Try again")
                Accessible.name: qsTr("Try to draw page %1 again").arg(root.page)
                onClicked: ++root.attempt
            }
        }
        Text {   // damaged, or a picture: an answer cannot come from it
            anchors {
                bottom: parent.bottom
                bottomMargin: 4
                horizontalCenter: parent.horizontalCenter
            }
            width: Math.min(implicitWidth, parent.width - 8)
            visible: root.mute
            text: qsTr("No text was read on this page")
            color: "#767676"
            font.pixelSize: Theme.small
            elide: Text.ElideRight
        }
        component Marked: Rectangle {
            required property rect modelData
            x: modelData.x * root.scaling - 2
            y: modelData.y * root.scaling - 1
            width: modelData.width * root.scaling + 4
            height: modelData.height * root.scaling + 2
            radius: 2
        }
        Repeater {
            model: root.found
            Marked {
                color: "transparent"
                border.color: Theme.found
            }
        }
        Repeater {
            model: root.marks
            Marked { color: Theme.mark }
        }
        Repeater {
            model: root.chosen
            Marked { color: Theme.chosen }
        }
    }
    TextEdit {
        id: words
        visible: root.page === 0
        width: root.width
        readOnly: true
        selectByMouse: true
        activeFocusOnPress: false   // it would keep the window's keys to itself
        persistentSelection: true
        selectionColor: Theme.accent
        selectedTextColor: Theme.accentText
        text: Theme.styled(root.html.replace(/<b>/g, `<span style="background-color:${Theme.soft}">`).replace(/<\/b>/g, "</span>"))
        textFormat: TextEdit.RichText
        wrapMode: TextEdit.WrapAtWordBoundaryOrAnywhere
        color: Theme.text
        font.pixelSize: Theme.base
        onSelectedTextChanged: root.textChosen(selectedText)
        Accessible.ignored: true   // the item says it
    }
}
