#pragma once

#include <carrel/compute.h>
#include <carrel/library.h>

#include <QString>

#include <vector>

/// What a document is, how far it is read and what it takes, as a person reads it. Translated.
namespace carrel::app {

struct DocumentFacts {
    DocumentRow row;
    std::vector<StoredReading> stored;  // its readings, of every model
    QString reading;                    // its reading under the loaded model, in words, where one is under way
    bool pausedByPerson = false;

    std::uint64_t readingBytes() const;
    std::uint64_t diskBytes() const { return row.diskBytes + readingBytes(); }
};

/// Its state by name: "Needs its password", "Being read: page 3 of 42", "Ready for pages 1 to 52 of 193".
QString stateText(const DocumentFacts& facts);
/// What a reading came to that is not under way.
QString readyText(const Coverage& coverage);  // "Ready", "Ready for pages 1 to 52 of 193"
/// "42 pages · 1.2 GiB · used today"
QString briefText(const DocumentFacts& facts);
/// All there is to say, a line each.
QString fullText(const DocumentFacts& facts);
/// "today", "yesterday" or the date of seconds since 1970.
QString dayText(std::int64_t at);

}  // namespace carrel::app
