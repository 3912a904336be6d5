#include "app/error_text.h"
#include "app/report.h"
#include "app/wait_text.h"
#include "app/words.h"

#include <QRegularExpression>
#include <QSet>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

class TestWords : public QObject {
    Q_OBJECT

  private slots:
    void everyFailureSaysWhyAndWhatWasKeptAndHasOneThingToDo_data() {
        QTest::addColumn<int>("code");
        QTest::addColumn<int>("doing");
        for (int code = 0; code <= static_cast<int>(Code::Internal); ++code)
            for (int doing = 0; doing < kDoings; ++doing)
                QTest::addRow("%s while %s", qPrintable(codeName(static_cast<Code>(code))),
                              qPrintable(doingName(static_cast<Doing>(doing))))
                    << code << doing;
    }
    void everyFailureSaysWhyAndWhatWasKeptAndHasOneThingToDo() {
        QFETCH(const int, code);
        QFETCH(const int, doing);
        const Error error{static_cast<Code>(code), "/home/somebody/report.pdf", "the reason"};
        int tried = 0;
        const Problem problem = problemOf(error, static_cast<Doing>(doing), {}, [&] { ++tried; });
        QVERIFY2(!problem.text.contains(QRegularExpression(QStringLiteral("%\\d"))), qPrintable(problem.text));
        QVERIFY2(!problem.text.contains(QStringLiteral("/home/somebody")), qPrintable(problem.text));
        // Two sentences: the cause, which is the code's own, and what was kept.
        static const QRegularExpression kept(
            QStringLiteral("^(.+[.]) ([^.]*(?:kept|as they were|not touched|still there)[^.]*[.])$"));
        const auto match = kept.match(problem.text);
        QVERIFY2(match.hasMatch(), qPrintable(problem.text));
        for (int other = 0; other <= static_cast<int>(Code::Internal); ++other)
            if (other != code)
                QVERIFY2(
                    !errorText({static_cast<Code>(other), error.where, error.detail}).startsWith(match.captured(1)),
                    qPrintable(problem.text));
        QVERIFY(problem.remedy != Remedy::Close);
        QVERIFY(!remedyText(problem.remedy).isEmpty());
        if (problem.remedy == Remedy::TryAgain) {
            problem.again();
            QCOMPARE(tried, 1);
        }
        QVERIFY((problem.remedy == Remedy::ShowFile) == !problem.file.isEmpty());
        // Where nothing can be tried again, there is a report to copy.
        QVERIFY(problemOf(error, static_cast<Doing>(doing)).remedy != Remedy::TryAgain);
    }

    void aGpuThatFailedIsNoRiddle() {
        const Error error{Code::Internal, "CUDA", "an illegal memory access was encountered"};
        const Problem problem = problemOf(error, Doing::Answer, {}, [] {});
        const auto wanted = QStringLiteral(
            "The GPU failed (an illegal memory access was encountered), and the processor takes its place. ");
        QVERIFY2(problem.text.startsWith(wanted), qPrintable(problem.text));
        QVERIFY(problem.remedy == Remedy::TryAgain);
    }

    void aPlaceHolderInAFilesNameIsNotFilledIn() {
        const QString text = errorText({Code::Corrupt, "/x/100%2 sure.pdf", "bad xref"});
        QVERIFY2(text.startsWith(QStringLiteral("100%2 sure.pdf is damaged (bad xref)")), qPrintable(text));
    }

    void aReportHasTheFailureAndNothingThatIsThePersons_data() {
        QTest::addColumn<QString>("where");
        QTest::addColumn<QString>("detail");
        const QString title = QStringLiteral("Lease of 12 Elm Street"), question = QStringLiteral("May I keep a dog?"),
                      answer = QStringLiteral("Yes, one dog."), path = QStringLiteral("/home/anna/My papers/Lease.pdf"),
                      text = QStringLiteral("The tenant shall not");
        QTest::newRow("title") << title << title;
        QTest::newRow("title in a sentence") << QString() << QStringLiteral("cannot open %1 now").arg(title);
        QTest::newRow("in other letters") << title.toUpper() << title.toLower();
        QTest::newRow("question") << question << QStringLiteral("bad token in %1").arg(question);
        QTest::newRow("answer") << answer << QStringLiteral("cut at %1").arg(answer);
        QTest::newRow("path") << path << QStringLiteral("open %1: no such file").arg(path);
        QTest::newRow("a path that is not known")
            << QStringLiteral("/mnt/My papers/Lease.pdf") << QStringLiteral("rename /mnt/My papers/Lease.pdf failed");
        QTest::newRow("an address") << QStringLiteral("file:///mnt/My papers/Lease.pdf")
                                    << QStringLiteral("file:///mnt/My papers/Lease.pdf is no file");
        QTest::newRow("a file's name") << QStringLiteral("Lease.pdf") << QStringLiteral("Lease.pdf: cut off");
        QTest::newRow("quoted text") << QString() << QStringLiteral("no word \"%1\" and no '%1' or “%1”").arg(text);
    }
    void aReportHasTheFailureAndNothingThatIsThePersons() {
        QFETCH(const QString, where);
        QFETCH(const QString, detail);
        ReportFacts facts;
        facts.modelFile = QStringLiteral("/home/anna/models/qwen2.5-0.5b.gguf");
        facts.fingerprint = QStringLiteral("c0ffee");
        facts.secrets = {QStringLiteral("Lease of 12 Elm Street"), QStringLiteral("May I keep a dog?"),
                         QStringLiteral("Yes, one dog."), QStringLiteral("/home/anna/My papers/Lease.pdf")};
        facts.error = Error{Code::Io, where.toStdString(), detail.toStdString()};
        facts.doing = Doing::Read;
        const QString report = reportText(facts);
        for (const char* secret : {"lease", "elm street", "dog", "anna", "papers", "/home", "/mnt", "tenant"})
            QVERIFY2(!report.contains(QString::fromLatin1(secret), Qt::CaseInsensitive), qPrintable(report));
        for (const char* fact :
             {"Carrel ", "commit ", "Processor: ", "Memory: ", "qwen2.5-0.5b.gguf", "c0ffee", "Io while Read"})
            QVERIFY2(report.contains(QString::fromLatin1(fact)), qPrintable(report));
    }

    void aReportKeepsTheEnginesOwnWords() {
        ReportFacts facts;
        facts.modelFile = QStringLiteral("/m/a.gguf");
        facts.error = Error{Code::NoMemory, "blk.3.attn_q.weight", "needs 512 MiB, 200 MiB are available"};
        const QString report = reportText(facts);
        QVERIFY2(report.contains(QStringLiteral("Where: blk.3.attn_q.weight\n")), qPrintable(report));
        QVERIFY2(report.contains(QStringLiteral("Detail: needs 512 MiB, 200 MiB are available\n")), qPrintable(report));
        facts.error = Error{Code::Truncated, "/m/a.gguf", {}};
        QVERIFY(reportText(facts).contains(QStringLiteral("Where: a.gguf\n")));
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

    void aWaitSaysItsSecondsFromTwoOn() {
        Wait wait;
        wait.kind = Wait::Question;
        wait.done = 12;
        wait.total = 31;
        QCOMPARE(waitText(wait, 1), QStringLiteral("Reading your question 12/31…"));
        QCOMPARE(waitText(wait, 2), QStringLiteral("Reading your question 12/31 · 2 s"));
        QCOMPARE(waitText(wait, 150), QStringLiteral("Reading your question 12/31 · 2 min"));
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
