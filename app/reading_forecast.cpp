// What a reading comes to, and how fast this model has read on this machine.
#include "machine.h"
#include "reading_controller.h"

#include <cmath>

namespace carrel::app {

constexpr double kLongSeconds = 120;          // what a person would rather have known before
constexpr std::uint64_t kLongTokens = 8'192;  // while the speed is not known

void ReadingController::nameSpeeds() {
    speedKey_ = fingerprint_.isEmpty() ? QString() : fingerprint_.left(16) + QLatin1Char('-') + machineKey(gpu_);
}

ReadingSpeed ReadingController::rememberedSpeed() const {
    if (speedKey_.isEmpty()) return {};
    const QStringList words = settings_.speed(speedKey_).split(QLatin1Char(' '));
    if (words.size() != 2) return {};
    const ReadingSpeed speed{words[0].toDouble(), words[1].toDouble()};
    return std::isfinite(speed.perToken) && std::isfinite(speed.perPair) && speed.perPair >= 0 ? speed : ReadingSpeed{};
}

void ReadingController::rememberSpeed(const ReadingSpeed& speed) {
    if (speedKey_.isEmpty() || !speed.known()) return;
    settings_.setSpeed(speedKey_, QString::number(speed.perToken) + QLatin1Char(' ') + QString::number(speed.perPair));
}

void ReadingController::askForecast(const QString& sha) {
    Entry& e = entries_[sha];
    if (e.forecastAsked) return;
    e.forecastAsked = true;
    const std::string document = sha.toStdString();
    port_.forecast(document, passwords_.of(document), [this, sha](const Result<ReadingForecast>& forecast) {
        if (!entries_.contains(sha) || !forecast) return;  // reading it says what is wrong
        Entry& entry = entries_[sha];
        entry.forecast = *forecast;
        const ReadingSpeed speed = rememberedSpeed();
        const auto done = static_cast<double>(entry.progress.tokensDone);
        const double seconds = speed.known() ? speed.seconds(done, static_cast<double>(forecast->tokens)) : -1;
        if (seconds >= 0) entry.forecastSeconds = seconds;
        entry.foreseenLong = seconds < 0 ? forecast->tokens >= kLongTokens : seconds >= kLongSeconds;
        if (sha == sha_) emit changed();
    });
}

bool ReadingController::isLong(const Entry& e) const {
    return e.foreseenLong && e.state != Ready && e.state != Partly && e.state != None;
}

QString ReadingController::forecast() const {
    const Entry& e = current();
    return isLong(e) ? forecastText(*e.forecast, e.forecastSeconds) : QString();
}

QStringList ReadingController::forecastDetails() const {
    const Entry& e = current();
    return isLong(e) ? app::forecastDetails(*e.forecast, e.forecastSeconds, titleOf_) : QStringList();
}

}  // namespace carrel::app
