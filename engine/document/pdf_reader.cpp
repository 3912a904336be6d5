#include "document/pdf_client.h"
#include "document/reader.h"

#include <algorithm>
#include <memory>

namespace carrel {
namespace {

using pdf::PdfClient;

constexpr int kMaxFailures = 8;  // helpers lost in one document before the rest is given up
constexpr std::uint64_t kMaxTextBytes = 256u << 20;
constexpr std::uint64_t kSparseBytesPerPage = 100;  // a page of prose has about 2,000

/// Keeps a helper at work: after a crash the next page gets a fresh one.
class Extraction {
  public:
    Extraction(const std::filesystem::path& file, const DocumentOptions& options) : file_(file), options_(options) {}

    Result<pdf::OpenedPdf> open() {
        auto client = PdfClient::start(options_.pdfHelper, file_, options_.pageLimit);
        if (!client) return client.error();
        client_ = std::move(*client);
        servedPages_ = 0;
        return client_->open(options_.password, options_.stop);
    }

    /// HelperFailed: the helper died or hung on this page.
    Result<pdf::PdfPage> text(std::uint32_t page) {
        const bool fresh = servedPages_ == 0;
        auto result = once(page);
        // One that has served many pages may have died of what they left behind; a fresh one tells.
        if (!result && result.error().code == Code::HelperFailed && !fresh) result = once(page);
        return result;
    }

  private:
    Result<pdf::PdfPage> once(std::uint32_t page) {
        if (!client_ || !client_->alive())
            if (const auto opened = open(); !opened) return opened.error();
        auto result = client_->text(page, options_.stop);
        if (result) ++servedPages_;
        return result;
    }

    std::filesystem::path file_;
    const DocumentOptions& options_;
    std::unique_ptr<PdfClient> client_;
    std::uint32_t servedPages_ = 0;
};

void append(Document& document, Place& place, pdf::PdfPage page) {
    if (!document.text.empty() && !page.text.empty()) document.text += "\n\n";
    place.text = {document.text.size(), page.text.size()};
    for (auto& word : page.words) word.first += static_cast<std::uint32_t>(document.text.size());
    place.words = std::move(page.words);
    document.text += page.text;
}

}  // namespace

Result<ReadResult> readPdf(const std::filesystem::path& file, const DocumentOptions& options) {
    Extraction extraction(file, options);
    auto opened = extraction.open();
    if (!opened) return opened.error();

    const auto pages = static_cast<std::uint32_t>(opened->sizes.size());
    ReadResult result;
    result.secret = opened->usedPassword;
    auto& document = result.document;
    document.kind = DocumentKind::Pdf;
    document.title = std::move(opened->title);
    document.places.resize(pages);
    std::uint32_t damaged = 0;
    int failures = 0;
    Error failure;
    for (std::uint32_t i = 0; i < pages; ++i) {
        auto& place = document.places[i];
        place.size = opened->sizes[i];
        auto page = failures < kMaxFailures ? extraction.text(i) : Result<pdf::PdfPage>(failure);
        if (!page) {
            const auto code = page.error().code;
            if (code == Code::Cancelled) return page.error();
            if (code == Code::HelperFailed && failures < kMaxFailures) ++failures;
            failure = page.error();
        }
        const bool empty = !page || page->text.empty();
        if (empty) document.pagesWithoutText.push_back(i + 1);
        if (empty && (!page || page->damaged)) ++damaged;
        append(document, place, page ? std::move(*page) : pdf::PdfPage{});
        if (document.text.size() > kMaxTextBytes)
            return Error{Code::Unsupported, file.string(), "documents with more than 256 MiB of text are not read"};
        if (options.progress) options.progress(i + 1, pages);
    }
    const bool nothing = document.text.empty();
    if (nothing && failures > 0 && failure.code == Code::HelperFailed) return failure;
    if (damaged * 2 >= pages && document.text.size() < kSparseBytesPerPage * pages)
        return Error{Code::NotADocument, file.string(),
                     "the PDF is damaged: " + std::to_string(damaged) + " of " + std::to_string(pages) +
                         " pages cannot be read; try to get the file again"};
    if (nothing) return Error{Code::NoText, file.string(), "the pages hold no text, only pictures"};
    return result;
}

}  // namespace carrel
