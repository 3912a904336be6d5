pragma ComponentBehavior: Bound

import QtQuick
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
    property string document
    property real imageWidth: 0         // device-independent pixels; settles after a change of size
    property var marks: []              // rectangles in points
    readonly property real scaling: width / Math.max(1, pointWidth)

    // A zero height would make the list create every page at once.
    height: page > 0 ? Math.max(40, width * pointHeight / Math.max(1, pointWidth)) : words.implicitHeight + 14
    Accessible.role: Accessible.Paragraph
    Accessible.name: page > 0 ? qsTr("Page %1").arg(page) : ""

    Rectangle {
        anchors.fill: parent
        visible: root.page > 0
        color: "white"
        border.color: Theme.line
        Text {
            anchors.centerIn: parent
            visible: image.status !== Image.Ready && draft.status !== Image.Ready
            text: image.status === Image.Error ? qsTr("Page %1 could not be drawn").arg(root.page) : root.page
            color: "#6b6b6b"   // on white, in the dark too
            font.pixelSize: Theme.base
        }
        Image {   // there first, and while another size is drawn
            id: draft
            anchors.fill: parent
            asynchronous: true
            cache: false
            visible: image.status !== Image.Ready
            source: image.source
            sourceSize.width: 240
        }
        Image {
            id: image
            anchors.fill: parent
            asynchronous: true
            cache: false
            source: root.page > 0 && root.document !== "" && root.imageWidth > 0 ? "image://page/" + root.document + "/" + root.page : ""
            sourceSize.width: Math.min(4096, Math.round(root.imageWidth * Screen.devicePixelRatio))
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
    Text {
        id: words
        visible: root.page === 0
        width: root.width
        text: Theme.styled(root.html.replace(/<b>/g, `<span style="background-color:${Theme.soft}">`).replace(/<\/b>/g, "</span>"))
        textFormat: Text.RichText
        wrapMode: Text.WrapAtWordBoundaryOrAnywhere
        color: Theme.text
        font.pixelSize: Theme.base
    }
}
