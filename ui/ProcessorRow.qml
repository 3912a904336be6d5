import QtQuick
import QtQuick.Layouts
import Carrel.app

// Who computes; where it is no GPU, why, and what to pass on about one that gave wrong results.
SettingRow {
    id: root

    required property ProcessorController processor
    signal copyWanted(string text)

    objectName: "processor"
    Accessible.role: Accessible.StaticText
    Accessible.name: root.hint === "" ? root.name : root.name + ". " + root.hint
    name: root.processor.name === "" ? qsTr("Computed by: not known yet") : qsTr("Computed by: %1").arg(root.processor.name)
    hint: root.processor.why
    TextButton {
        objectName: "copyCheck"
        visible: root.processor.report !== ""
        text: qsTr("Copy the check")
        Accessible.name: qsTr("Copy what the check of the GPU found")
        onClicked: root.copyWanted(root.processor.report)
    }
}
