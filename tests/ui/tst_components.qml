import QtQuick
import QtTest
import Carrel

// Components alone: what they show and what they signal.
Item {
    id: root
    width: 640
    height: 480

    Composer {
        id: composer
        width: 640
        answering: false
        onAsked: (question) => heard.push(question)
        property var heard: []
        property int stops: 0
        onStopWanted: ++stops
    }
    SourceChip {
        id: chip
        y: 120
        width: 400
        title: "p. 12"
        quote: "Packages may not modify them."
        share: 0.6
    }
    ErrorBanner {
        id: banner
        y: 200
        width: 640
        sentence: ""
    }
    TextRow {
        id: words
        y: 260
        width: 300
        html: "A <b>bold</b> word and <a href=\"https://example.org\">a link</a>."
    }
    TableRow {
        id: table
        y: 320
        width: 300
        columns: 2
        cells: ["a", "b", "1", "2"]
    }
    SignalSpy { id: clicked; target: chip; signalName: "clicked" }
    SignalSpy { id: dismissed; target: banner; signalName: "dismissed" }

    TestCase {
        name: "Components"
        when: windowShown

        function init() {
            composer.heard = [];
            composer.stops = 0;
            composer.answering = false;
            composer.text = "";
        }
        function type(text) {
            for (const letter of text)
                keyClick(letter);
        }
        function test_enterAsksAndShiftEnterMakesALine() {
            composer.forceActiveFocus();
            type("one");
            keyClick(Qt.Key_Return, Qt.ShiftModifier);
            type("two");
            compare(composer.heard.length, 0);
            keyClick(Qt.Key_Return);
            compare(composer.heard.length, 1);
            compare(composer.heard[0], "one\ntwo");
            compare(composer.text, "one\ntwo", "only the controller empties it, once the question is saved");
        }
        function test_nothingIsAskedWhileAnAnswerIsWrittenOrFromBlanks() {
            composer.forceActiveFocus();
            type("  ");
            keyClick(Qt.Key_Return);
            composer.answering = true;
            type("x");
            keyClick(Qt.Key_Return);
            compare(composer.heard.length, 0);
        }
        function test_theButtonStopsWhileAnswering() {
            composer.answering = true;
            mouseClick(findChild(composer, "stop"));
            compare(composer.stops, 1);
        }
        function test_aSourceIsAButtonThatSaysWhereAndHowMuch() {
            clicked.clear();
            mouseClick(chip);
            compare(clicked.count, 1);
            chip.forceActiveFocus();
            keyClick(Qt.Key_Space);
            compare(clicked.count, 2);
            verify(chip.Accessible.name.includes("p. 12"));
            verify(chip.Accessible.name.includes("60"));
        }
        function test_theBannerTakesNoRoomWithoutAProblem() {
            compare(banner.implicitHeight, 0);
            banner.sentence = "The disk is full. Free some space.";
            verify(banner.implicitHeight > 30);
            compare(banner.Accessible.name, banner.sentence);
            banner.sentence = "";
        }
        function test_rowsHaveHeights() {
            verify(words.implicitHeight > 10);
            verify(table.implicitHeight > 40);
        }
    }
}
