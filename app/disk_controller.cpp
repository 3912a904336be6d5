#include "disk_controller.h"

#include <QLocale>

#include <algorithm>

namespace carrel::app {

DiskController::DiskController(EnginePort& port, Settings& settings, QObject* parent)
    : QObject(parent), port_(port), settings_(settings) {}

void DiskController::setQuotaGb(int gigabytes) {
    gigabytes = std::clamp(gigabytes, 0, kMostGb);
    if (gigabytes == settings_.quotaGb()) return;
    settings_.setQuotaGb(gigabytes);
    emit changed();
    port_.setQuota(static_cast<std::uint64_t>(gigabytes) * 1'000'000'000,
                   [this](const Result<DiskUse>& use) { show(use); });
}

void DiskController::refresh() {
    port_.diskUse([this](const Result<DiskUse>& use) { show(use); });
}

void DiskController::show(const Result<DiskUse>& use) {
    if (!use) {
        emit problem(problemOf(use.error(), Doing::Open, {}, [this] { refresh(); }));
        return;
    }
    const auto gigabytes = [](std::uint64_t bytes) {
        return tr("%1 GB").arg(QLocale().toString(static_cast<double>(bytes) / 1e9, 'f', 1));
    };
    text_ = tr("%1 of %2 used; %3 are free on the disk")
                .arg(gigabytes(use->usedBytes), gigabytes(use->quotaBytes), gigabytes(use->freeBytes));
    emit changed();
}

}  // namespace carrel::app
