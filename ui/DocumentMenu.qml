import QtQuick
import Carrel.app

// What can be done with one document of the library.
PlainMenu {
    id: root

    required property LibraryController library
    property string sha
    property bool read: false

    function show(item: LibraryItem, x: real, y: real) {
        sha = item.sha;
        read = item.read;
        popup(item, x, y);
    }

    PlainMenuItem {
        objectName: "showFile"
        text: qsTr("Show file")
        onTriggered: root.library.showFile(root.sha)
    }
    PlainMenuItem {
        objectName: "forgetReading"
        text: qsTr("Forget reading, keep text")
        enabled: root.read
        onTriggered: root.library.forgetReading(root.sha)
    }
    PlainMenuItem {
        objectName: "forgetDocument"
        text: qsTr("Forget document")
        onTriggered: root.library.forget(root.sha)
    }
}
