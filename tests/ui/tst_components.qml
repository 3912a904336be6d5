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
        number: 2
        title: "p. 12"
        quote: "Packages may not modify them."
        share: 0.6
    }
    SourcesRow {
        id: places
        y: 150
        width: 300
        sources: []
        sentence: "Carrel cannot tell where this came from."
    }
    ErrorBanner {
        id: banner
        y: 200
        width: 640
        sentence: ""
        remedy: ""
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
    QuestionsDialog {
        id: questions
        property var heard: []
        onAsked: (list) => heard.push(list)
    }
    ListProgress {
        id: progress
        y: 380
        width: 300
        total: 0
        ended: 0
    }
    TierTable {
        id: tiers
        y: 400
        width: 480
        tiers: []
    }
    SignalSpy { id: copied; target: chip; signalName: "copyWanted" }
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
        // WCAG 2: how much lighter one colour is than another.
        function light(colour) {
            const part = (v) => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
            return 0.2126 * part(colour.r) + 0.7152 * part(colour.g) + 0.0722 * part(colour.b);
        }
        function contrast(a, b) {
            const one = light(a), other = light(b);
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        }
        function test_everyTextCanBeReadOnWhatItLiesOn_data() {
            const on = {
                text: ["window", "pane", "paper", "raised", "desk", "hover", "soft", "code", "line"],
                muted: ["window", "pane", "paper", "raised", "desk", "hover", "soft", "code"],
                accent: ["window", "pane", "paper", "raised", "hover", "soft", "code", "line", "warning"],
                accentText: ["accent"],
                warningText: ["warning", "paper", "pane", "raised"]
            };
            const rows = [];
            for (const shade of [1, 2])
                for (const text in on)
                    for (const ground of on[text])
                        rows.push({ tag: (shade === 1 ? "light: " : "dark: ") + text + " on " + ground, shade: shade, text: text, ground: ground });
            return rows;
        }
        function test_everyTextCanBeReadOnWhatItLiesOn(data) {
            Theme.shade = data.shade;
            const found = contrast(Theme[data.text], Theme[data.ground]);
            Theme.shade = 0;
            verify(found >= 4.5, found.toFixed(2));
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
            chip.forceActiveFocus(Qt.TabFocusReason);
            keyClick(Qt.Key_Space);
            keyClick(Qt.Key_Return);
            compare(clicked.count, 3);
            for (const part of ["Source 2", "p. 12", "60 %", "Packages may not modify them."])
                verify(chip.Accessible.name.includes(part), part);
        }
        function test_theQuoteIsShownToWhoPointsAtASourceOrComesToIt() {
            composer.forceActiveFocus();
            mouseMove(root, 600, 470);
            const card = findChild(chip, "quoteCard");
            tryCompare(card, "visible", false);
            mouseMove(chip, 10, 10);
            tryCompare(card, "opened", true);
            compare(findChild(card.contentItem, "quote").text, chip.quote);
            copied.clear();
            mouseClick(findChild(card.contentItem, "copyQuote"));
            compare(copied.count, 1);
            mouseMove(root, 600, 470);
            tryCompare(card, "visible", false);
            chip.forceActiveFocus(Qt.TabFocusReason);
            tryCompare(card, "opened", true);
            keySequence(StandardKey.Copy);
            compare(copied.count, 2);
            composer.forceActiveFocus();
            tryCompare(card, "visible", false);
        }
        function test_withoutSourcesARowSaysWhyAndWithThemItNumbersThem() {
            const heading = findChild(places, "sourcesHeading");
            compare(heading.text, places.sentence);
            verify(findChild(places, "source0") === null);
            places.sources = [1, 2, 3].map(page => ({ title: "p. " + page, quote: "Words.", share: 0.3, copy: "" }));
            tryVerify(() => findChild(places, "source2") !== null);
            compare(findChild(places, "source2").number, 3);
            verify(heading.text !== places.sentence);
            places.sources = [];
        }
        function test_theBannerTakesNoRoomWithoutAProblem() {
            compare(banner.implicitHeight, 0);
            banner.sentence = "The disk is full. Free some space.";
            verify(banner.implicitHeight > 30);
            compare(banner.Accessible.name, banner.sentence);
            banner.sentence = "";
        }
        function openQuestions() {
            questions.heard = [];
            questions.ready = true;
            questions.clear();
            questions.open();
            tryCompare(questions, "opened", true);
            verify(questions.input.activeFocus, "one can type at once");
        }
        function test_eachLineIsAQuestionAndListMarksAreNotPartOfIt() {
            openQuestions();
            questions.input.text = "One?\n\n  2. Two? \n- Three?\n3 or 4?\n\u2022 Five?";
            compare(questions.questions, ["One?", "Two?", "Three?", "3 or 4?", "Five?"]);
            const list = findChild(questions.contentItem, "numbered");
            compare(list.count, 5);
            tryVerify(() => list.itemAtIndex(1) !== null);
            compare(list.itemAtIndex(1).text, "2. Two?");
            questions.close();
        }
        function test_ctrlEnterAsksAndKeepsTheTextUntilItIsSaved() {
            openQuestions();
            type("a?");
            keyClick(Qt.Key_Return);
            type("b?");
            compare(questions.heard.length, 0);
            keyClick(Qt.Key_Return, Qt.ControlModifier);
            compare(questions.heard.length, 1);
            compare(questions.heard[0], ["a?", "b?"]);
            tryCompare(questions, "visible", false);
            compare(questions.questions.length, 2);
        }
        function test_nothingIsAskedOfBlanksOrOfNobody() {
            openQuestions();
            const button = findChild(questions.contentItem, "askAll");
            verify(!button.enabled);
            keyClick(Qt.Key_Return, Qt.ControlModifier);
            questions.input.text = "a?";
            verify(button.enabled);
            questions.ready = false;
            verify(!button.enabled);
            keyClick(Qt.Key_Return, Qt.ControlModifier);
            compare(questions.heard.length, 0);
            verify(questions.opened);
            keyClick(Qt.Key_Escape);
            tryCompare(questions, "visible", false);
        }
        function test_progressTakesRoomOnlyWhileAListIsAnswered() {
            compare(progress.implicitHeight, 0);
            progress.total = 5;
            progress.ended = 2;
            verify(progress.implicitHeight > 10);
            compare(findChild(progress, "listProgress").text, "2 of 5 answered");
            progress.total = 0;
        }
        function test_aTiersRowReadsAsOneSentence() {
            const empty = tiers.implicitHeight;
            tiers.tiers = [{ name: "Disk", used: "98 MiB", peak: "–", usedShare: 0, peakShare: 0, found: "91 %", read: "186 MiB", rate: "49 MB/s", stalls: "1.2 s" }];
            tryVerify(() => tiers.implicitHeight > empty);
            const rows = Array.from(tiers.children).filter(child => child.Accessible.name !== "");
            compare(rows.length, 1);
            compare(rows[0].Accessible.name, "Disk, Used 98 MiB, At most –, Found 91 %, Read 186 MiB, Now 49 MB/s, Waited 1.2 s");
        }
        function test_rowsHaveHeights() {
            verify(words.implicitHeight > 10);
            verify(table.implicitHeight > 40);
        }
    }
}
