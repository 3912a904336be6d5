#pragma once

#include <carrel/events.h>

#include <QString>

/// Numbers as a person reads them. Translated.
namespace carrel::app {

/// "about 3 min left"; empty while there is no estimate.
QString etaText(double seconds);
QString bytesText(std::uint64_t bytes);  // "1.2 GiB"
/// 'Read pages 1-52 of 193; pages 53-193 were not used'
QString coverageText(const Coverage& coverage);
/// "Page 12 of 42 · 180 tokens/s · about 2 min left"
QString progressText(const ReadingProgress& progress);

}  // namespace carrel::app
