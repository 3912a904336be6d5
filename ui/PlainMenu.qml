import QtQuick
import QtQuick.Controls

// A menu that looks like the other popups, is as wide as its items and stays inside the window.
Menu {
    id: root

    width: {
        let widest = 0;
        for (let i = 0; i < root.count; ++i)
            widest = Math.max(widest, root.itemAt(i)?.implicitWidth ?? 0);
        return widest + leftPadding + rightPadding;
    }
    margins: Theme.gap
    padding: 4
    font.pixelSize: Theme.base
    background: Rectangle {
        radius: Theme.radius
        color: Theme.raised
        border.color: Theme.edge
    }
}
