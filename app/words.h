#pragma once

#include <carrel/events.h>
#include <carrel/library.h>

#include <QString>

/// Numbers as a person reads them. Translated.
namespace carrel::app {

/// "about 3 min left"; empty while there is no estimate.
QString etaText(double seconds);
/// "about 3 min"; "not known yet" where it is negative.
QString durationText(double seconds);
QString bytesText(std::uint64_t bytes);  // "1.2 GiB"
/// "42 pages · 310 KiB"
QString documentText(const DocumentRow& document);
/// 'Read pages 1-52 of 193; pages 53-193 were not used'
QString coverageText(const Coverage& coverage);
/// "Page 12 of 42 · 180 tokens/s · about 2 min left"
QString progressText(const ReadingProgress& progress);

}  // namespace carrel::app
