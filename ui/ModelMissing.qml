import QtQuick
import QtQuick.Layouts
import Carrel.app

// No model is there to answer: what is missing, the models that were found, and a way to any other file.
Rectangle {
    id: root

    required property ModelController model
    property real mostHeight: 500
    signal otherWanted()
    signal taken()

    objectName: "modelMissing"
    visible: root.model.missing !== ""
    implicitHeight: visible ? column.implicitHeight + 2 * Theme.pad : 0
    radius: Theme.radius + 4
    color: Theme.soft

    ColumnLayout {
        id: column
        anchors {
            left: parent.left
            right: parent.right
            top: parent.top
            margins: Theme.pad
        }
        spacing: Theme.gap
        Text {
            id: sentence
            objectName: "modelMissingText"
            Layout.fillWidth: true
            text: root.model.missing
            textFormat: Text.PlainText
            color: Theme.text
            font.pixelSize: Theme.base
            wrapMode: Text.Wrap
            Accessible.role: Accessible.StaticText
            Accessible.name: text
        }
        ModelList {
            id: list
            objectName: "modelMissingList"
            Layout.fillWidth: true
            visible: count > 0
            controller: root.model
            seen: root.visible
            onTaken: root.taken()
            mostHeight: root.mostHeight - sentence.implicitHeight - other.implicitHeight - 2 * Theme.pad - 2 * Theme.gap
        }
        TextButton {
            id: other
            objectName: "modelFile"
            Layout.leftMargin: -6   // its words stand under the models
            text: qsTr("Choose a model file…")
            onClicked: root.otherWanted()
        }
    }
}
