#include "app/conversation_model.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

static const QString kAnswer = QStringLiteral(
    "# Head\n\nA paragraph with **bold**, `code` and [a link](https://example.org).\n\n- one\n- two\n\n- three\n\n"
    "> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```cpp\nint x;\n\nint y;\n```\nAfter the code.\n\n---\n\nEnd.");

class TestConversation : public QObject {
    Q_OBJECT

    static QStringList rows(const ConversationModel& model) {
        QStringList list;
        for (int i = 0; i < model.rowCount(); ++i) {
            const QModelIndex at = model.index(i);
            list << at.data(ConversationModel::KindRole).toString() + QLatin1Char(':') +
                        at.data(ConversationModel::HtmlRole).toString() +
                        at.data(ConversationModel::PlainRole).toString() +
                        at.data(ConversationModel::CellsRole).toStringList().join(QLatin1Char('|'));
        }
        return list;
    }
    static TurnRow turn(const QString& answer, TurnState state) {
        TurnRow row;
        row.id = 7;
        row.question = "Why?";
        row.answer = answer.toStdString();
        row.state = state;
        return row;
    }

  private slots:
    void aStreamedAnswerLooksLikeTheWholeOneWhateverThePieces_data() {
        QTest::addColumn<int>("piece");
        for (const int n : {1, 2, 3, 5, 7, 17, 64, 1000}) QTest::addRow("%d characters", n) << n;
    }
    void aStreamedAnswerLooksLikeTheWholeOneWhateverThePieces() {
        QFETCH(const int, piece);
        ConversationModel streamed, whole;
        const QAbstractItemModelTester tester(&streamed, QAbstractItemModelTester::FailureReportingMode::QtTest);
        streamed.addTurn(turn({}, TurnState::Queued));
        for (qsizetype at = 0; at < kAnswer.size(); at += piece) streamed.appendText(7, kAnswer.mid(at, piece));
        whole.setTurns({turn(kAnswer, TurnState::Done)});
        QStringList now = rows(streamed);
        QStringList then = rows(whole);
        now.removeLast();  // notes differ: one is still being written
        then.removeLast();
        QCOMPARE(now, then);
        streamed.updateTurn(turn(kAnswer, TurnState::Done));
        QCOMPARE(rows(streamed), rows(whole));
    }

    void rowsBeforeTheLastPartAreNotTouchedWhileWriting() {
        ConversationModel model;
        model.addTurn(turn({}, TurnState::Queued));
        model.appendText(7, QStringLiteral("First.\n\nSecond.\n\nThird"));
        QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
        for (int i = 0; i < 50; ++i) model.appendText(7, QStringLiteral(" more"));
        for (const auto& change : changed) QCOMPARE(change[0].toModelIndex().row(), 3);
    }

    void htmlAndImagesAreNeverTagsOfOurs() {
        const auto blocks = parseMarkdown(QStringLiteral(
            "<img src=\"file:///etc/passwd\"> ![pic](https://example.org/x.png) <b>x</b> [y](javascript:alert(1)) "
            "[z](file:///etc/passwd) ![r][ref]\n\n[ref]: https://example.org/r.png\n\n<script>alert(1)</script>\n\n"
            "&lt;img src=x&gt; `<img src=y>`"));
        for (const MarkdownBlock& block : blocks) {
            QVERIFY2(!block.html.contains(QStringLiteral("<img")), qPrintable(block.html));
            QVERIFY2(!block.html.contains(QStringLiteral("<script")), qPrintable(block.html));
            QVERIFY2(!block.html.contains(QStringLiteral("<b>")), qPrintable(block.html));
            QVERIFY2(!block.html.contains(QStringLiteral("href=")), qPrintable(block.html));
        }
    }

    void aTableKeepsItsCells() {
        const auto blocks = parseMarkdown(QStringLiteral("| a | b |\n|---|---|\n| 1 | *2* |"));
        QCOMPARE(blocks.size(), 1);
        QCOMPARE(blocks[0].columns, 2);
        QCOMPARE(blocks[0].cells, QStringList({QStringLiteral("a"), QStringLiteral("b"), QStringLiteral("1"),
                                               QStringLiteral("<i>2</i>")}));
    }

    void halfTypedMarksAreNotShown() {
        QCOMPARE(withoutDanglingMarks(QStringLiteral("This is **")), QStringLiteral("This is "));
        QCOMPARE(withoutDanglingMarks(QStringLiteral("done")), QStringLiteral("done"));
        QCOMPARE(withoutDanglingMarks(QStringLiteral("```")), QStringLiteral("```"));
    }

    void sourcesCarryTheirQuotesAndWhatIsCopied() {
        ConversationModel model;
        model.setDocument(QStringLiteral("Field notes"), {});
        TurnRow row = turn(QStringLiteral("x"), TurnState::Done);
        row.sources = {{"p. 12", 12, {}, "The %1 hut\nis red.", {}, 0.7f}, {"p. 3", 3, {}, "", {}, 0.3f}};
        model.setTurns({row});
        const QModelIndex at = model.index(model.rowCount() - 2);
        QCOMPARE(at.data(ConversationModel::KindRole).toInt(), static_cast<int>(ConversationModel::Sources));
        const QVariantList list = at.data(ConversationModel::SourcesRole).toList();
        QCOMPARE(list.size(), 2);
        const auto text = [&](int i, const char* key) { return list[i].toMap()[QString::fromLatin1(key)].toString(); };
        QCOMPARE(text(0, "title"), QStringLiteral("p. 12"));
        QCOMPARE(text(0, "quote"), QStringLiteral("The %1 hut is red."));
        QCOMPARE(text(0, "copy"), QStringLiteral("“The %1 hut is red.” (Field notes, p. 12)"));
        QCOMPARE(text(1, "copy"), QStringLiteral("Field notes, p. 3"));  // its words were not kept
    }

    void anAnswerWithoutSourcesSaysWhy() {
        for (const auto provenance : {Provenance::Shown, Provenance::Unclear, Provenance::NotSaid}) {
            ConversationModel model;
            TurnRow row = turn(QStringLiteral("x"), TurnState::Answering);
            row.provenance = provenance;
            model.addTurn(row);
            QCOMPARE(model.rowCount(), 2);
            row.state = TurnState::Done;
            model.updateTurn(row);
            QStringList said;
            for (int i = 0; i < model.rowCount(); ++i)
                if (model.index(i).data(ConversationModel::KindRole).toInt() == ConversationModel::Sources)
                    said << model.index(i).data(ConversationModel::PlainRole).toString();
            QCOMPARE(said.size(), provenance == Provenance::Shown ? 0 : 1);
            if (provenance == Provenance::Unclear)
                QCOMPARE(said[0], QStringLiteral("Carrel cannot tell where this came from."));
            if (provenance == Provenance::NotSaid) QVERIFY(said[0].contains(QStringLiteral("does not tell")));
        }
    }

    void theLineUnderAnAnswerNamesWhatItWentWithout() {
        ConversationModel model;
        TurnRow row = turn(QStringLiteral("x"), TurnState::Stopped);
        row.coverage = {2, 9, 20, 90, true};
        row.droppedTurns = 1;
        model.setTurns({row});
        model.setDocument({}, {1});
        QCOMPARE(
            model.index(model.rowCount() - 1).data(ConversationModel::PlainRole).toString(),
            QStringLiteral("Stopped by you. Answered from pages 1-2 of 9; pages 3-9 were not read yet. Page 1 has no "
                           "text. The oldest question of this chat no longer fitted and was not used"));
    }

    void everyStateHasItsLine() {
        for (int s = 0; s <= static_cast<int>(TurnState::Interrupted); ++s) {
            ConversationModel model;
            TurnRow row = turn(QStringLiteral("x"), static_cast<TurnState>(s));
            row.coverage = {1, 2, 10, 20};
            model.setTurns({row});
            QVERIFY2(!model.index(model.rowCount() - 1).data(ConversationModel::PlainRole).toString().isEmpty(),
                     qPrintable(QString::number(s)));
        }
    }
};

QTEST_MAIN(TestConversation)
#include "tst_conversation.moc"
