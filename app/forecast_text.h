#pragma once

#include <carrel/compute.h>

#include <QStringList>

#include <functional>

namespace carrel::app {

/// A document's title, by its SHA-256.
using TitleOf = std::function<QString(const QString& document)>;

/// "27,196 tokens · about 4 min · 160 MiB on disk". seconds: negative where they are not known. Translated.
QString forecastText(const ReadingForecast& forecast, double seconds);
/// The same at length, a sentence each.
QStringList forecastDetails(const ReadingForecast& forecast, double seconds, const TitleOf& titleOf);

}  // namespace carrel::app
