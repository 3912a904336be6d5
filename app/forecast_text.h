#pragma once

#include <carrel/compute.h>

#include <QStringList>

#include <functional>

namespace carrel::app {

/// Names what would be deleted to make room for so many bytes; empty: nothing.
using Evictions = std::function<QStringList(std::uint64_t bytes)>;

/// "27,196 tokens · about 4 min · 160 MiB on disk". seconds: negative where they are not known. Translated.
QString forecastText(const ReadingForecast& forecast, double seconds);
/// The same at length, a sentence each. evictions: may be empty.
QStringList forecastDetails(const ReadingForecast& forecast, double seconds, const Evictions& evictions);

}  // namespace carrel::app
