#include "app/memory_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// Three choices of memory: what the engine is told, and what is said of them.
class TestMemory : public QObject {
    Q_OBJECT

    static constexpr std::uint64_t kMemory = std::uint64_t{16} << 30;

    struct Desk {
        QTemporaryDir folder;
        QString file = folder.filePath(QStringLiteral("window.ini"));
        ScriptedEngine engine;
        Settings settings{file};
        MemoryController::Subject subject{"doc", "secret", QStringLiteral("/x/model.gguf"), {}};
        MemoryController memory{engine, settings, kMemory, [this] { return subject; }};

        QString measured(int choice) const {
            return memory.choices().value(choice).toMap().value(QStringLiteral("measured")).toString();
        }
        int chosen() const {
            for (int i = 0; i < 3; ++i)
                if (memory.choices().value(i).toMap().value(QStringLiteral("chosen")).toBool()) return i;
            return -1;
        }
        /// The engine's answer to the question that is under way.
        Answer answer(double tokensPerSecond, std::uint32_t tokens = 48) const {
            Answer out;
            out.tokens = tokens;
            out.timings.decodeTokensPerS = tokensPerSecond;
            out.coverage.tokensRead = 27'000;
            const auto [device, host] = engine.memories.back();
            out.tiers.device.budgetBytes = device;
            out.tiers.host.budgetBytes = host;
            out.tiers.device.peakBytes = 100u << 20;
            out.tiers.host.peakBytes = 28u << 20;
            return out;
        }
        void say(const Answer& answer) { emit engine.answered(engine.asks.back().ticket, answer); }
    };

  private slots:
    void theEngineIsToldWhatWasChosenNowAndAtTheNextStart() {
        Desk d;
        QCOMPARE(d.chosen(), 1);
        d.memory.start();
        QCOMPARE(d.engine.memories.back(), (std::pair<std::uint64_t, std::uint64_t>(kMemory / 16, kMemory / 4)));
        QSignalSpy changed(&d.memory, &MemoryController::changed);
        d.memory.choose(0);
        QCOMPARE(d.engine.memories.back(), (std::pair<std::uint64_t, std::uint64_t>(kMemory / 64, kMemory / 16)));
        QCOMPARE(d.chosen(), 0);
        QCOMPARE(changed.count(), 1);
        d.memory.choose(7);
        QCOMPARE(d.chosen(), 0);
        MemoryController next(d.engine, d.settings, kMemory, [] { return MemoryController::Subject(); });
        next.start();
        QCOMPARE(d.engine.memories.back(), (std::pair<std::uint64_t, std::uint64_t>(kMemory / 64, kMemory / 16)));
    }

    void nothingIsSaidThatWasNotMeasured() {
        Desk d;
        for (int i = 0; i < 3; ++i) QCOMPARE(d.measured(i), QStringLiteral("not measured yet"));
        d.subject.document.clear();
        d.memory.measure();
        QVERIFY(!d.memory.measuring());
        QVERIFY(d.engine.asks.empty());
        QVERIFY(d.memory.note().contains(QStringLiteral("open a document")));
    }

    void eachIsMeasuredByOneQuestionAndKeptForThisMachineAndModel() {
        Desk d;
        d.memory.start();
        d.memory.choose(2);
        d.memory.measure();
        for (int i = 0; i < 3; ++i) {
            QVERIFY(d.memory.measuring());
            QCOMPARE(d.engine.asks.size(), static_cast<std::size_t>(i) + 1);
            QCOMPARE(d.engine.memories.back().first, d.memory.budgets()[static_cast<std::size_t>(i)].deviceBytes);
            QCOMPARE(d.engine.asks.back().document, std::string("doc"));
            QCOMPARE(d.engine.asks.back().password, std::string("secret"));
            QCOMPARE(d.measured(i), QStringLiteral("being measured"));
            d.say(d.answer(12.34 * (i + 1)));
        }
        QVERIFY(!d.memory.measuring());
        QCOMPARE(d.engine.forgottenTails.size(), 3u);
        QCOMPARE(d.engine.memories.back().first, kMemory / 4);  // as chosen, again
        QCOMPARE(d.measured(0), QStringLiteral("measured: 12 tokens a second, 128.0 MiB (document of 27,000 tokens)"));
        QCOMPARE(d.measured(2), QStringLiteral("measured: 37 tokens a second, 128.0 MiB (document of 27,000 tokens)"));

        Settings again(d.file);
        MemoryController next(d.engine, again, kMemory, [&] { return d.subject; });
        QVERIFY(next.choices()
                    .value(0)
                    .toMap()
                    .value(QStringLiteral("measured"))
                    .toString()
                    .contains(QStringLiteral("12 ")));
        MemoryController larger(d.engine, again, 2 * kMemory, [&] { return d.subject; });
        QCOMPARE(larger.choices().value(0).toMap().value(QStringLiteral("measured")).toString(),
                 QStringLiteral("not measured yet"));
        d.subject.gpu = QStringLiteral("NVIDIA X");
        QCOMPARE(d.measured(0), QStringLiteral("not measured yet"));
        d.subject.gpu.clear();
        d.subject.model = QStringLiteral("/x/other.gguf");
        QCOMPARE(d.measured(0), QStringLiteral("not measured yet"));
    }

    void whatIsStoppedOrOfOtherBudgetsOrTooShortIsNoFigure() {
        Desk d;
        d.memory.start();
        const auto before = d.engine.memories.back();
        d.memory.measure();
        d.memory.stop();
        QVERIFY(d.engine.asks.back().stop.stop_requested());
        Answer stopped = d.answer(50);
        stopped.stopped = true;
        d.say(stopped);
        QVERIFY(!d.memory.measuring());
        QVERIFY(d.memory.note().contains(QStringLiteral("stopped")));

        d.memory.measure();
        Answer other = d.answer(50);
        other.tiers.device.budgetBytes += 1;
        d.say(other);
        QVERIFY(d.memory.note().contains(QStringLiteral("in use")));

        d.memory.measure();
        d.say(d.answer(50, 3));
        QVERIFY(d.memory.note().contains(QStringLiteral("too short")));

        d.memory.measure();
        emit d.engine.turnFailed(d.engine.asks.back().ticket,
                                 Error{Code::NoMemory, "document", "needs at least 7 MiB"});
        QVERIFY(!d.memory.measuring());
        QVERIFY(!d.memory.note().isEmpty());

        for (int i = 0; i < 3; ++i) QCOMPARE(d.measured(i), QStringLiteral("not measured yet"));
        QCOMPARE(d.engine.memories.back(), before);
    }

    void whatIsChosenMeanwhileHoldsAfterwards() {
        Desk d;
        d.memory.start();
        d.memory.measure();
        d.memory.choose(2);
        QCOMPARE(d.engine.memories.back().first, kMemory / 64);  // still what is measured
        d.memory.stop();
        emit d.engine.turnFailed(d.engine.asks.back().ticket, Error{Code::Cancelled, {}, {}});
        QCOMPARE(d.engine.memories.back().first, kMemory / 4);
    }
};

QTEST_MAIN(TestMemory)
#include "tst_memory.moc"
