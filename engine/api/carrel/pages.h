#pragma once

#include <carrel/events.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace carrel {

struct PageSize {
    float width = 0, height = 0;  // points
};

/// 32 bits a pixel, 0xffRRGGBB in host order, rows of `stride` bytes.
struct PageImage {
    std::uint32_t width = 0, height = 0, stride = 0;
    std::vector<std::byte> pixels;
};

/// Words that were looked for, where they stand.
struct Found {
    std::uint32_t page = 0;  // from 1; 0: text without pages
    ByteSpan span;
    std::vector<Box> boxes;  // points; a line each, on the page where the words begin
};

struct PagesOptions {
    std::filesystem::path dataDir;
    std::filesystem::path pdfHelper;
};

/// Page images and text boxes of documents in the library, drawn by a helper process of its own. One thread at a time.
/// A helper that dies or hangs is restarted by the next call; the call at hand fails with HelperFailed.
class Pages {
  public:
    static Result<std::unique_ptr<Pages>> open(const PagesOptions& options);
    virtual ~Pages() = default;

    /// Sizes of all pages; empty for text without pages.
    virtual Result<std::vector<PageSize>> sizes(const std::string& document, const std::string& password) = 0;
    /// Page (from 1) drawn `widthPx` wide, at most 8192.
    virtual Result<PageImage> render(const std::string& document, const std::string& password, std::uint32_t page,
                                     std::uint32_t widthPx) = 0;
    /// A document without pages: its text as it is (UTF-8).
    virtual Result<std::string> text(const std::string& document) = 0;
    /// Where words stand in a document, in its order, at most `most`: whatever the case, across line ends. The text of
    /// the document that was searched last stays in memory until words are empty.
    virtual Result<std::vector<Found>> find(const std::string& document, const std::string& password,
                                            const std::string& words, std::uint32_t most) = 0;
};

}  // namespace carrel
