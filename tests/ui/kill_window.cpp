// kill_window --model FILE --document FILE [--kills 4] [--seed 1]: the window on the real engine, killed with SIGKILL
// at random moments of use: a person types with real key events, asks, watches the answer, drops the question. What the
// next start finds on disk is compared with what had been on the screen: at most the last second of a draft or an
// answer may be missing. Prints a line a kill, then the most that was lost. Exits 77 where model or document are not
// there.
#include <carrel/library.h>

#include "app/engine_thread.h"
#include "app/window.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QQuickWindow>
#include <QTemporaryDir>
#include <QTest>

#include <fcntl.h>
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <random>

using namespace carrel;
using namespace carrel::app;

namespace {

// Timers of half a second and a second, and time to write: beyond that something was not saved.
constexpr double kAllowedSeconds = 2;

double now() {  // the same in both processes
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

QString helper() {
    return QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(QStringLiteral("carrel-pdf"));
}

/// What the person saw, and when: one write per line, which no SIGKILL can take back.
class Log {
  public:
    explicit Log(const QString& file)
        : file_(::open(qPrintable(file), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
    void add(const char* what, const QString& text) {
        QJsonObject line{{QStringLiteral("at"), now()},
                         {QStringLiteral("what"), QLatin1String(what)},
                         {QStringLiteral("text"), text}};
        const QByteArray bytes = QJsonDocument(line).toJson(QJsonDocument::Compact) + '\n';
        if (::write(file_, bytes.constData(), static_cast<std::size_t>(bytes.size())) != bytes.size()) std::abort();
    }

  private:
    int file_;
};

/// Uses the window until it is killed.
class Person : public QObject {
  public:
    Person(Window& window, EnginePort& engine, Log& log, unsigned seed) : window_(window), log_(log), random_(seed) {
        ChatController& chat = *window.controller().chat();
        connect(&engine, &EnginePort::turnText, this, [this](quint64, const QString& text) {
            answer_ += text;
            log_.add("answer", answer_);
        });
        connect(&chat, &ChatController::draftReplaced, this, [this, &chat] { log_.add("draft", chat.draft()); });
    }

    [[noreturn]] void use() {
        AppController& app = window_.controller();
        while (app.chat()->current().isEmpty() || app.reading()->state() != ReadingController::Ready) {
            if (app.reading()->state() == ReadingController::Reading) log_.add("reading", {});
            QTest::qWait(10);
        }
        const QString chat = app.chat()->current();
        QTest::keyClick(window_.window(), Qt::Key_N, Qt::ControlModifier);
        while (app.chat()->current() == chat) QTest::qWait(10);
        QTest::keyClick(window_.window(), Qt::Key_L, Qt::ControlModifier);
        log_.add("ready", app.chat()->current());
        for (;;) {
            type(QStringLiteral("What about part %1 of this licence and its conditions").arg(random_() % 100));
            if (random_() % 2 == 0)
                ask();
            else
                erase();
        }
    }

  private:
    QString draft() { return window_.controller().chat()->draft(); }

    void type(const QString& words) {
        for (const QChar letter : words) {
            QTest::keyClick(window_.window(), letter.toLatin1());
            log_.add("draft", draft());
            QTest::qWait(20 + static_cast<int>(random_() % 60));
        }
    }
    void erase() {
        QTest::keyClick(window_.window(), Qt::Key_A, Qt::ControlModifier);
        QTest::keyClick(window_.window(), Qt::Key_Delete);
        log_.add("draft", draft());
        QTest::qWait(static_cast<int>(random_() % 1500));
    }
    void ask() {
        ChatController& chat = *window_.controller().chat();
        answer_.clear();
        log_.add("asked", draft());
        QTest::keyClick(window_.window(), Qt::Key_Return);
        const double begun = now(), patience = 1 + static_cast<double>(random_() % 6);
        while (chat.answering() && now() - begun < patience) QTest::qWait(20);
        if (!chat.answering()) return;
        QTest::keyClick(window_.window(), Qt::Key_Escape);
        while (chat.answering()) QTest::qWait(20);
    }

    Window& window_;
    Log& log_;
    std::mt19937 random_;
    QString answer_;
};

int use(const ComputeOptions& compute, const AppOptions& options, const QString& log, unsigned seed) {
    Log lines(log);
    EngineThread engine(compute);
    Window window(engine, options);
    if (!window.window() || !QTest::qWaitForWindowActive(window.window(), 60000)) return 1;
    Person(window, engine, lines, seed).use();
}

struct Line {
    double at = 0;
    QString text;
};

/// What one life of the window had shown.
struct Seen {
    QString chat;  // empty: killed before it could be used
    bool readAgain = false;
    std::vector<Line> drafts;  // from the first, empty one
    std::vector<Line> asked;
    std::vector<std::vector<Line>> answers;  // of each question, growing
};

Seen readLog(const QString& name) {
    Seen seen;
    QFile file(name);
    if (!file.open(QIODevice::ReadOnly)) return seen;
    while (!file.atEnd()) {
        const QJsonObject json = QJsonDocument::fromJson(file.readLine()).object();
        const Line line{json[QStringLiteral("at")].toDouble(), json[QStringLiteral("text")].toString()};
        const QString what = json[QStringLiteral("what")].toString();
        if (what == QLatin1String("reading")) seen.readAgain = true;
        if (what == QLatin1String("ready")) {
            seen.chat = line.text;
            seen.drafts = {{line.at, {}}};
        }
        if (what == QLatin1String("draft")) seen.drafts.push_back(line);
        if (what == QLatin1String("asked")) {
            seen.asked.push_back(line);
            seen.answers.emplace_back();
        }
        if (what == QLatin1String("answer")) seen.answers.back().push_back(line);
    }
    return seen;
}

/// Age at the kill of the first state that is missing; 0 where the newest is there, negative where there is none.
template <class Same>
double lost(const std::vector<Line>& states, double killedAt, Same there) {
    for (std::size_t i = states.size(); i-- > 0;)
        if (there(states[i].text)) return i + 1 == states.size() ? 0 : killedAt - states[i + 1].at;
    return states.empty() ? 0 : -1;
}

using Turns = std::map<std::int64_t, TurnRow>;

/// All there is on disk, as the next start finds it.
struct Disk {
    std::map<std::string, std::string> drafts;  // by chat
    Turns turns;
};

Result<Disk> readDisk(const LibraryOptions& options) {
    Disk disk;
    auto library = Library::open(options);
    if (!library) return library.error();
    const auto documents = (*library)->documents();
    if (!documents) return documents.error();
    for (const DocumentRow& document : *documents) {
        const auto chats = (*library)->chats(document.sha256);
        if (!chats) return chats.error();
        for (const ChatRow& chat : *chats) {
            disk.drafts[chat.id] = chat.draft;
            const auto turns = (*library)->turns(chat.id);
            if (!turns) return turns.error();
            for (const TurnRow& turn : *turns) disk.turns[turn.id] = turn;
        }
    }
    return disk;
}

/// Seconds of draft and answers that one life lost; a negative number where what is on disk was never on the screen.
std::pair<double, double> compare(const Seen& seen, const Disk& disk, double killedAt) {
    std::vector<const TurnRow*> turns;
    for (const auto& [id, turn] : disk.turns)
        if (turn.chat == seen.chat.toStdString()) turns.push_back(&turn);
    double draft = 0, answer = 0;
    for (std::size_t i = 0; i < seen.asked.size(); ++i) {
        if (i >= turns.size()) {
            answer = std::max(answer, killedAt - seen.asked[i].at);
            continue;
        }
        const QString kept = QString::fromStdString(turns[i]->answer);
        if (turns[i]->question != seen.asked[i].text.toStdString()) return {0, -1};
        const double gone =
            lost(seen.answers[i], killedAt, [&](const QString& state) { return kept.startsWith(state.trimmed()); });
        // Nothing of the first second need be there.
        answer = std::max(answer, gone < 0 && kept.isEmpty() ? killedAt - seen.answers[i].front().at : gone);
        if (gone < 0 && !kept.isEmpty()) return {0, -1};
    }
    const bool sent = !seen.asked.empty() && turns.size() == seen.asked.size() &&
                      seen.asked.back().at >= seen.drafts.back().at;  // its row is there, so its draft is not
    const auto kept = disk.drafts.find(seen.chat.toStdString());
    if (kept == disk.drafts.end()) return {-1, answer};
    if (!sent)
        draft = lost(seen.drafts, killedAt, [&](const QString& state) { return state.toStdString() == kept->second; });
    return {draft, answer};
}

/// What an earlier life left may only have been marked as interrupted.
bool kept(const Disk& before, const Disk& after) {
    return std::ranges::all_of(before.turns, [&](const auto& turn) {
        const auto found = after.turns.find(turn.first);
        return found != after.turns.end() && found->second.answer == turn.second.answer &&
               found->second.question == turn.second.question;
    });
}

class Killer {
  public:
    Killer(const QStringList& arguments, const QString& folder, unsigned seed)
        : arguments_(arguments), folder_(folder), random_(seed) {}

    /// One life: false says why.
    bool run(int life) {
        const QString log = QStringLiteral("%1/life-%2.jsonl").arg(folder_).arg(life);
        QProcess window;
        window.setProcessChannelMode(QProcess::ForwardedErrorChannel);
        window.start(
            QCoreApplication::applicationFilePath(),
            QStringList{QStringLiteral("--child"), log, QStringLiteral("--data"), folder_ + QStringLiteral("/data"),
                        QStringLiteral("--seed"), QString::number(random_() % 100000)} +
                arguments_);
        if (!window.waitForStarted(-1)) return std::printf("life %d did not start\n", life), false;
        const bool early = life > 0 && random_() % 5 == 0;
        if (!early && !waitUntilUsed(window, log)) return std::printf("life %d was never ready\n", life), false;
        QTest::qSleep(static_cast<int>(random_() % (early ? 1000 : 9000)));
        const bool alive = window.state() == QProcess::Running;
        const double killedAt = now();
        window.kill();
        window.waitForFinished(-1);
        if (!alive) return std::printf("life %d ended by itself with %d\n", life, window.exitCode()), false;
        return check(life, readLog(log), killedAt);
    }
    double most() const { return most_; }

  private:
    static bool waitUntilUsed(QProcess& window, const QString& log) {
        const double begun = now();
        while (readLog(log).chat.isEmpty()) {
            if (now() - begun > 600 || window.waitForFinished(100)) return false;
        }
        return true;
    }

    bool check(int life, const Seen& seen, double killedAt) {
        const auto disk = readDisk({(folder_ + QStringLiteral("/data")).toStdString(), helper().toStdString()});
        if (!disk)
            return std::printf("life %d: %s: %s\n", life, disk.error().where.c_str(), disk.error().detail.c_str()),
                   false;
        if (!kept(before_, *disk)) return std::printf("life %d lost an earlier turn\n", life), false;
        before_ = *disk;
        if (seen.chat.isEmpty()) return std::printf("life %d: killed while it opened, nothing lost\n", life), true;
        const auto [draft, answer] = compare(seen, *disk, killedAt);
        std::printf("life %d: %zu key strokes, %zu questions; lost of the draft %.2f s, of the answer %.2f s%s\n", life,
                    seen.drafts.size(), seen.asked.size(), draft, answer,
                    life > 0 && seen.readAgain ? "; READ AGAIN" : "");
        most_ = std::max({most_, draft, answer});
        return draft >= 0 && answer >= 0 && draft <= kAllowedSeconds && answer <= kAllowedSeconds &&
               !(life > 0 && seen.readAgain);
    }

    QStringList arguments_;
    QString folder_;
    std::mt19937 random_;
    Disk before_;
    double most_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    for (const char* option : {"model", "document", "child", "data", "kills", "seed"})
        parser.addOption({QString::fromLatin1(option), {}, QString::fromLatin1(option)});
    parser.process(qt);
    const QString model = parser.value(QStringLiteral("model")), document = parser.value(QStringLiteral("document"));
    const unsigned seed = parser.value(QStringLiteral("seed")).toUInt();
    if (parser.isSet(QStringLiteral("child"))) {
        ComputeOptions compute;
        compute.dataDir = parser.value(QStringLiteral("data")).toStdString();
        compute.pdfHelper = helper().toStdString();
        AppOptions options;
        options.model = model;
        options.settingsFile = parser.value(QStringLiteral("data")) + QStringLiteral("/window.ini");
        options.files = {document};
        return use(compute, options, parser.value(QStringLiteral("child")), seed);
    }
    for (const QString& needed : {model, document})
        if (!QFile::exists(needed))
            return std::printf("SKIPPED: %s is not there (models come with: models/fetch --tests)\n",
                               qPrintable(needed)),
                   77;
    const QTemporaryDir folder;
    Killer killer({QStringLiteral("--model"), model, QStringLiteral("--document"), document}, folder.path(), seed);
    const int kills = parser.isSet(QStringLiteral("kills")) ? parser.value(QStringLiteral("kills")).toInt() : 4;
    for (int life = 0; life < kills; ++life)
        if (!killer.run(life)) return 1;
    std::printf("%d kills: at most %.2f s lost\n", kills, killer.most());
    return 0;
}
