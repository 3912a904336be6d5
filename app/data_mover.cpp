#include "data_mover.h"

#include <QDir>

#include <chrono>

namespace carrel::app {
namespace {

constexpr std::chrono::milliseconds kInterval{100};  // of progress

}  // namespace

DataMover::DataMover(QString folder, MoveData move, QObject* parent)
    : QObject(parent), folder_(std::move(folder)), move_(std::move(move)) {}

DataMover::~DataMover() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void DataMover::choose(const QString& folder) {
    const QString target = QDir(folder).isEmpty() ? folder : QDir(folder).filePath(QStringLiteral("Carrel"));
    if (QDir(target).exists() && !QDir(target).isEmpty()) {
        emit problem(tr("%1 holds something already. Choose another folder.").arg(target));
        return;
    }
    target_ = target;
    emit changed();
}

void DataMover::start() {
    if (target_.isEmpty() || moving() || !movable()) return;
    emit aboutToMove();
    const auto moved = [this](const Status& done) {
        QString detail = done ? QString() : QString::fromStdString(done.error().detail);
        emit ended(done ? tr("Carrel's data is in %1 now.").arg(target_)
                   : done.error().code == Code::Cancelled
                       ? tr("The move was stopped. Carrel's data is where it was, in %1.").arg(folder_)
                       : tr("Carrel's data could not be moved: %1. It is where it was, in %2, and nothing is lost.")
                             .arg(detail, folder_));
    };
    const auto report = [this](double fraction) {
        fraction_ = fraction;
        emit progressed();
    };
    thread_ = std::jthread([this, moved, report, move = move_, from = folder_.toStdString(),
                            to = target_.toStdString()](std::stop_token stop) {
        std::chrono::steady_clock::time_point last{};
        const auto progress = [&](std::uint64_t done, std::uint64_t all) {
            const auto now = std::chrono::steady_clock::now();
            if (all == 0 || now - last < kInterval) return;
            last = now;
            const double fraction = static_cast<double>(done) / static_cast<double>(all);
            QMetaObject::invokeMethod(
                this, [report, fraction] { report(fraction); }, Qt::QueuedConnection);
        };
        const Status done = move(from, to, progress, stop);
        QMetaObject::invokeMethod(
            this, [moved, done] { moved(done); }, Qt::QueuedConnection);
    });
    emit changed();
}

void DataMover::cancel() {
    if (moving()) {
        thread_.request_stop();
        return;
    }
    target_.clear();
    emit changed();
}

}  // namespace carrel::app
