#pragma once

#include "document/pdf_helper/page_text.h"
#include "document/pdf_protocol.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

typedef struct _PopplerDocument PopplerDocument;

namespace carrel::pdf {

/// A PDF under Poppler: the only code that knows the library. Not thread-safe. Poppler's complaints go to descriptor 2.
class PopplerFile {
  public:
    /// Opens a copy of the descriptor: without the password first, then with it.
    Outcome open(int fd, const std::string& password);
    bool usedPassword() const { return usedPassword_; }
    std::string title() const;
    std::uint32_t pages() const { return pages_; }
    std::vector<PageSize> sizes() const;  // 0 x 0 for a page that cannot be read
    Outcome text(std::uint32_t page, PageText& out) const;
    /// Draws on white; `pixels` holds width * height * 4 bytes.
    Outcome render(std::uint32_t page, std::uint32_t width, std::uint32_t height, std::byte* pixels) const;

    /// What leads somewhere, in the file's order; cut at kMaxOutline, kMaxOutlineDepth and kMaxLinks.
    std::vector<OutlineEntry> outline() const;
    Outcome links(std::uint32_t page, std::vector<PageLink>& out) const;

  private:
    struct Unref {
        void operator()(PopplerDocument* document) const;
    };
    std::unique_ptr<PopplerDocument, Unref> document_;
    std::uint32_t pages_ = 0;
    bool usedPassword_ = false;
};

}  // namespace carrel::pdf
