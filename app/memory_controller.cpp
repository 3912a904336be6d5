#include "memory_controller.h"

#include "error_text.h"
#include "words.h"

#include <QCryptographicHash>
#include <QFile>
#include <QFileInfo>
#include <QLocale>
#include <QThread>

#include <unistd.h>

#include <algorithm>

namespace carrel::app {

namespace {

// Of the machine's memory. Whatever is chosen, the model and other programs keep the larger half.
constexpr struct { std::uint64_t deviceParts, hostParts; } kParts[] = {{64, 16}, {16, 4}, {4, 4}};
constexpr int kBalanced = 1;
constexpr const char* kTail = "memory-measurement";
constexpr std::uint32_t kTokens = 48, kLeastTokens = 8;  // of the answer that is measured: seconds, and not luck

QString processor() {
    QFile file(QStringLiteral("/proc/cpuinfo"));
    if (!file.open(QIODevice::ReadOnly)) return {};
    const QString all = QString::fromUtf8(file.readAll());
    const auto at = all.indexOf(QStringLiteral("model name"));
    return at < 0 ? QString() : all.mid(at, all.indexOf(QLatin1Char('\n'), at) - at);
}

}  // namespace

std::uint64_t MemoryController::installedMemory() {
    return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

MemoryController::MemoryController(EnginePort& port, Settings& settings, std::uint64_t memoryBytes,
                                   std::function<Subject()> subject, QObject* parent)
    : QObject(parent),
      port_(port),
      settings_(settings),
      subject_(std::move(subject)),
      machine_(QStringLiteral("%1;%2;%3").arg(processor()).arg(QThread::idealThreadCount()).arg(memoryBytes)) {
    for (std::size_t i = 0; i < budgets_.size(); ++i)
        budgets_[i] = {memoryBytes / kParts[i].deviceParts, memoryBytes / kParts[i].hostParts};
    connect(&port_, &EnginePort::answered, this,
            [this](quint64 ticket, const Answer& answer) { ended(ticket, answer); });
    connect(&port_, &EnginePort::turnFailed, this,
            [this](quint64 ticket, const Error& error) { ended(ticket, error); });
}

int MemoryController::chosen() const {
    return std::clamp(settings_.memory(kBalanced), 0, 2);
}

QString MemoryController::key(std::size_t choice) const {
    const QFileInfo model(subject_().model);
    const QString of = QStringLiteral("%1;%2;%3;%4;%5")
                           .arg(machine_ + subject_().gpu, model.fileName())
                           .arg(model.size())
                           .arg(budgets_[choice].deviceBytes)
                           .arg(budgets_[choice].hostBytes);
    return QString::fromLatin1(QCryptographicHash::hash(of.toUtf8(), QCryptographicHash::Sha256).toHex().left(24));
}

QVariantList MemoryController::choices() const {
    const QString names[] = {tr("Leave memory to other programs"), tr("Balanced"), tr("Fast")};
    QVariantList list;
    for (std::size_t i = 0; i < budgets_.size(); ++i) {
        const Settings::Measured measured = settings_.measured(key(i));
        QString words = tr("not measured yet");
        if (measuring() && at_ == i)
            words = tr("being measured");
        else if (measured.tokensPerSecond > 0)
            words = tr("measured: %1 tokens a second, %2 (document of %3 tokens)")
                        .arg(QLocale().toString(measured.tokensPerSecond, 'f', measured.tokensPerSecond < 10 ? 1 : 0),
                             bytesText(measured.bytes), QLocale().toString(qulonglong{measured.documentTokens}));
        list << QVariantMap{{QStringLiteral("name"), names[i]},
                            {QStringLiteral("budget"),
                             tr("at most %1").arg(bytesText(budgets_[i].deviceBytes + budgets_[i].hostBytes))},
                            {QStringLiteral("measured"), words},
                            {QStringLiteral("chosen"), chosen() == static_cast<int>(i)}};
    }
    return list;
}

void MemoryController::start() {
    const Budgets& budgets = budgets_[static_cast<std::size_t>(chosen())];
    port_.setMemory(budgets.deviceBytes, budgets.hostBytes);
}

void MemoryController::choose(int choice) {
    if (choice == chosen() || choice < 0 || choice > 2) return;
    settings_.setMemory(choice);
    if (!measuring()) start();  // or else when that has ended
    emit changed();
}

void MemoryController::measure() {
    if (measuring()) return;
    with_ = subject_();
    if (with_.document.empty()) {
        note_ = tr("To measure, open a document that is read, and let answers end first.");
        emit changed();
        return;
    }
    note_.clear();
    at_ = 0;
    stop_ = {};
    next();
}

void MemoryController::stop() {
    stop_.request_stop();
}

void MemoryController::next() {
    port_.setMemory(budgets_[at_].deviceBytes, budgets_[at_].hostBytes);
    ticket_ = port_.nextTicket();
    port_.ask({ticket_,
               with_.document,
               with_.password,
               kTail,
               {},
               "What is this document about?",
               kTokens,
               stop_.get_token()});
    emit changed();
}

void MemoryController::ended(quint64 ticket, const Result<Answer>& answer) {
    if (ticket != ticket_) return;
    port_.forgetTail(kTail);
    if (stop_.stop_requested()) return finish(tr("Measuring was stopped."));
    if (!answer) return finish(errorText(answer.error()));
    const TierReport& tiers = answer->tiers;
    if (tiers.device.budgetBytes != budgets_[at_].deviceBytes || tiers.host.budgetBytes != budgets_[at_].hostBytes)
        return finish(tr("The document was in use, so nothing was measured. Please try again."));
    if (answer->tokens < kLeastTokens)
        return finish(tr("The answer was too short to measure by. Please try another document."));
    settings_.setMeasured(key(at_), {answer->timings.decodeTokensPerS, tiers.device.peakBytes + tiers.host.peakBytes,
                                     answer->coverage.tokensRead});
    if (++at_ < budgets_.size()) return next();
    finish({});
}

void MemoryController::finish(const QString& note) {
    ticket_ = 0;
    note_ = note;
    start();
    emit changed();
}

}  // namespace carrel::app
