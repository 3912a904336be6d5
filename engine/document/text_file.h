#pragma once

#include "document/document.h"

#include <span>
#include <string>

namespace carrel {

/// Content of `text.v1`: a document as extracted. Derived data: whatever is wrong with it, the document is read again.
std::string writeTextFile(const Document& document);
/// Truncated, Corrupt (checksum, structure, or another document's), Unsupported (another version).
Result<Document> parseTextFile(std::span<const std::byte> bytes, const std::string& sha256, const std::string& name);

}  // namespace carrel
