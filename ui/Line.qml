import QtQuick

// A hairline between two areas.
Rectangle {
    implicitHeight: 1
    implicitWidth: 1
    color: Theme.line
}
