#pragma once

#include "document/document.h"

#include <span>
#include <string>
#include <string_view>

namespace carrel {

/// A document, and whether its text is a secret: true where only a password opened it.
struct ReadResult {
    Document document;
    bool secret = false;
};

/// As readDocument; `sha256` is that of the file, where it is known already.
Result<ReadResult> readFileAsDocument(const std::filesystem::path& file, const std::string& sha256,
                                      const DocumentOptions& options);

/// Whether the content is to be read as a PDF.
Result<bool> looksLikePdf(const std::filesystem::path& file);
/// 64 small hex digits: what may become part of a path.
bool isSha256(std::string_view name);

/// One function per format. They fill everything but sha256.
Result<ReadResult> readPdf(const std::filesystem::path& file, const DocumentOptions& options);
/// NotADocument for binary content and for text without a visible character.
Result<Document> readText(std::string bytes, const std::string& name);

}  // namespace carrel
