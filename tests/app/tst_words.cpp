#include "app/error_text.h"
#include "app/words.h"

#include <QRegularExpression>
#include <QSet>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

class TestWords : public QObject {
    Q_OBJECT

  private slots:
    void everyCodeHasASentenceOfItsOwnThatSaysWhatToDo() {
        QSet<QString> seen;
        for (int c = 0; c <= static_cast<int>(Code::Internal); ++c) {
            const QString text = errorText({static_cast<Code>(c), "/home/somebody/report.pdf", "the reason"});
            QVERIFY2(!text.contains(QRegularExpression(QStringLiteral("%\\d"))), qPrintable(text));
            QVERIFY2(text.endsWith(QLatin1Char('.')), qPrintable(text));
            QVERIFY2(text.contains(QRegularExpression(QStringLiteral("[.:;] "))),
                     qPrintable(text));  // what, then what to do
            QVERIFY2(!text.contains(QStringLiteral("/home/somebody")), qPrintable(text));
            QVERIFY2(!seen.contains(text), qPrintable(text));
            seen << text;
        }
    }

    void aPlaceHolderInAFilesNameIsNotFilledIn() {
        const QString text = errorText({Code::Corrupt, "/x/100%2 sure.pdf", "bad xref"});
        QVERIFY2(text.startsWith(QStringLiteral("100%2 sure.pdf is damaged (bad xref)")), qPrintable(text));
    }

    void coverageNamesThePagesThatWereNotUsed_data() {
        QTest::addColumn<int>("read");
        QTest::addColumn<int>("total");
        QTest::addColumn<QString>("text");
        QTest::newRow("part") << 52 << 193 << QStringLiteral("Read pages 1-52 of 193; pages 53-193 were not used");
        QTest::newRow("all but one") << 41 << 42 << QStringLiteral("Read pages 1-41 of 42; page 42 was not used");
        QTest::newRow("first page") << 1 << 9 << QStringLiteral("Read page 1 of 9; pages 2-9 were not used");
        QTest::newRow("all") << 42 << 42 << QStringLiteral("Read all 42 pages");
        QTest::newRow("less than a page")
            << 0 << 9 << QStringLiteral("Read only the beginning of page 1 of 9; the rest was not used");
    }
    void coverageNamesThePagesThatWereNotUsed() {
        QFETCH(const int, read);
        QFETCH(const int, total);
        QFETCH(const QString, text);
        Coverage c;
        c.pagesRead = static_cast<std::uint32_t>(read);
        c.pagesTotal = static_cast<std::uint32_t>(total);
        c.tokensRead = c.pagesRead * 100 + 1;
        c.tokensTotal = c.pagesTotal * 100 + 1;
        QCOMPARE(coverageText(c), text);
    }

    void coverageSaysWhenReadingWentOn_data() {
        QTest::addColumn<int>("read");
        QTest::addColumn<QString>("text");
        QTest::newRow("part") << 52
                              << QStringLiteral("Answered from pages 1-52 of 193; pages 53-193 were not read yet");
        QTest::newRow("all but one") << 192
                                     << QStringLiteral("Answered from pages 1-192 of 193; page 193 was not read yet");
        QTest::newRow("first") << 1 << QStringLiteral("Answered from page 1 of 193; pages 2-193 were not read yet");
        QTest::newRow("less than a page")
            << 0 << QStringLiteral("Answered from the beginning of page 1 of 193; the rest was not read yet");
    }
    void coverageSaysWhenReadingWentOn() {
        QFETCH(const int, read);
        QFETCH(const QString, text);
        QCOMPARE(coverageText({static_cast<std::uint32_t>(read), 193, 10, 100, true}), text);
    }

    void coverageNamesPagesWithoutTextAndQuestionsThatNoLongerFitted() {
        const Coverage all{9, 9, 100, 100};
        QCOMPARE(coverageText(all, {3}), QStringLiteral("Read all 9 pages. Page 3 has no text"));
        QCOMPARE(coverageText(all, {1, 3, 4, 7, 8, 9}, 1),
                 QStringLiteral("Read all 9 pages. Pages 1, 3, 4 and 7-9 have no text. The oldest question of this "
                                "chat no longer fitted and was not used"));
        // Of pages that it did not read nothing is said but that.
        QCOMPARE(coverageText({2, 9, 10, 100}, {5, 6}, 3),
                 QStringLiteral("Read pages 1-2 of 9; pages 3-9 were not used. The 3 oldest questions of this chat no "
                                "longer fitted and were not used"));
        QCOMPARE(coverageText({0, 0, 30, 100, true}),
                 QStringLiteral("Answered from the first 30 % of the text; the rest was not read yet"));
    }

    void aQuoteThatIsCutShowsIt() {
        const QString dots(QChar(0x2026));
        QCOMPARE(quoteText("A sentence\nof two lines."), QStringLiteral("A sentence of two lines."));
        QCOMPARE(quoteText("goes on. Then."), dots + QStringLiteral("goes on. Then."));
        QCOMPARE(quoteText("3.1 Heading"), QStringLiteral("3.1 Heading"));
        QVERIFY(quoteText("Long " + std::string(400, 'x')).endsWith(dots));
        QCOMPARE(quoteText(""), QString());
    }

    void anEstimateIsRoundedAndItsAbsenceIsSilent() {
        QCOMPARE(etaText(-1), QString());
        QCOMPARE(etaText(4), QStringLiteral("a few seconds left"));
        QCOMPARE(etaText(31), QStringLiteral("about 30 s left"));
        QCOMPARE(etaText(125), QStringLiteral("about 2 min left"));
        QVERIFY(etaText(3 * 3600).startsWith(QStringLiteral("about 3")));
    }
};

QTEST_MAIN(TestWords)
#include "tst_words.moc"
