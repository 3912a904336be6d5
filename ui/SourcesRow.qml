pragma ComponentBehavior: Bound

import QtQuick
import QtQuick.Layouts

// The places an answer was read from, or why none is given.
Item {
    id: root

    required property var sources     // list of {title, quote, share, copy}
    required property string sentence // where there are none
    signal opened(int index)
    signal copyWanted(string text)

    implicitHeight: column.implicitHeight + 14

    ColumnLayout {
        id: column
        y: 8
        width: parent.width
        spacing: 6
        Text {
            objectName: "sourcesHeading"
            Layout.fillWidth: true
            text: root.sources.length > 0 ? qsTr("Read from") : root.sentence
            color: Theme.muted
            font.pixelSize: Theme.small
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        Flow {
            Layout.fillWidth: true
            visible: root.sources.length > 0
            spacing: 6
            Repeater {
                model: root.sources
                SourceChip {
                    required property var modelData
                    required property int index
                    objectName: "source" + index
                    number: index + 1
                    title: modelData.title
                    quote: modelData.quote
                    share: modelData.share
                    onClicked: root.opened(index)
                    onCopyWanted: root.copyWanted(modelData.copy)
                }
            }
        }
    }
}
