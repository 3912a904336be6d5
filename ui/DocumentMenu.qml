import QtQuick
import QtQuick.Controls
import Carrel.app

// What can be done with one document of the library.
Menu {
    id: root

    required property LibraryController library
    property string sha
    property bool read: false

    function show(item: LibraryItem, x: real, y: real) {
        sha = item.sha;
        read = item.read;
        popup(item, x, y);
    }

    width: Theme.base * 17
    font.pixelSize: Theme.base
    MenuItem {
        objectName: "showFile"
        text: qsTr("Show file")
        onTriggered: root.library.showFile(root.sha)
    }
    MenuItem {
        objectName: "forgetReading"
        text: qsTr("Forget reading, keep text")
        enabled: root.read
        onTriggered: root.library.forgetReading(root.sha)
    }
    MenuItem {
        objectName: "forgetDocument"
        text: qsTr("Forget document")
        onTriggered: root.library.forget(root.sha)
    }
}
