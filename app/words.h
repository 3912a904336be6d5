#pragma once

#include <carrel/events.h>

#include <QString>

/// Numbers as a person reads them. Translated.
namespace carrel::app {

/// "about 3 min left"; empty while there is no estimate.
QString etaText(double seconds);
/// "about 3 min"; "not known yet" where it is negative.
QString durationText(double seconds);
QString bytesText(std::uint64_t bytes);  // "1.2 GiB"
/// 'Read pages 1-52 of 193; pages 53-193 were not used', and what else an answer went without: pages of those it read
/// that have no text, older turns.
QString coverageText(const Coverage& coverage, const std::vector<std::uint32_t>& pagesWithoutText = {},
                     std::uint32_t droppedTurns = 0);
/// "page 3", "pages 3, 7 and 9-12"; ascending, from 1.
QString pagesText(const std::vector<std::uint32_t>& pages);
/// A quote in one line, with dots where it does not begin or end like a sentence.
QString quoteText(const std::string& quote);
/// "Page 12 of 42 · 180 tokens/s · about 2 min left"
QString progressText(const ReadingProgress& progress);

}  // namespace carrel::app
