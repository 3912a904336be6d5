#include <carrel/pages.h>

#include "document/folded_text.h"
#include "document/pdf_client.h"
#include "document/reader.h"

#include <algorithm>
#include <cmath>
#include <list>

namespace carrel {
namespace {

constexpr std::size_t kWarmHelpers = 2;
constexpr std::uint32_t kMaxWidthPx = 8192, kMaxHeightPx = 32767;  // the latter is cairo's

std::vector<OutlineEntry> headingsOf(const Document& document) {
    std::vector<OutlineEntry> out;
    if (document.kind != DocumentKind::Markdown) return out;
    for (const Place& place : document.places) {
        if (place.heading.empty()) continue;
        const std::string_view text = std::string_view(document.text).substr(place.text.first, place.text.count);
        const auto hashes = std::min<std::size_t>(text.find_first_not_of('#'), 6);
        const auto below = text.substr(std::min(text.size(), text.find('\n') + 1), 1);  // of a heading without '#'
        const auto level = hashes > 0 ? hashes - 1 : below == "-" ? 1 : 0;
        out.push_back({place.heading, static_cast<std::uint32_t>(level), {.byte = place.text.first}});
    }
    return out;
}

class HelperPages final : public Pages {
  public:
    explicit HelperPages(const PagesOptions& options)
        : helper_(options.pdfHelper), store_(options.dataDir), pageLimit_(options.pageLimit) {}

    Result<std::vector<PageSize>> sizes(const std::string& document, const std::string& password) override {
        const auto pdf = isPdf(document);
        if (!pdf) return pdf.error();
        if (!*pdf) return std::vector<PageSize>{};
        const auto open = opened(document, password);
        if (!open) return open.error();
        return (*open)->info.sizes;
    }

    Result<PageImage> render(const std::string& document, const std::string& password, std::uint32_t page,
                             std::uint32_t widthPx) override {
        auto open = opened(document, password);
        if (!open) return open.error();
        const bool fresh = (*open)->drawn == 0;
        auto image = draw(**open, page, widthPx);
        if (image || image.error().code != Code::HelperFailed || fresh) return image;
        // It may have died of what other pages left behind, or been killed: a fresh one tells.
        open = opened(document, password);
        return open ? draw(**open, page, widthPx) : open.error();
    }

    Result<std::vector<OutlineEntry>> outline(const std::string& document, const std::string& password) override {
        const auto pdf = isPdf(document);
        if (!pdf) return pdf.error();
        if (!*pdf) {
            auto loaded = store_.load(document, {.pdfHelper = helper_, .password = {}, .progress = {}, .stop = {}});
            if (!loaded) return loaded.error();
            return headingsOf(*loaded);
        }
        const auto open = opened(document, password);
        if (!open) return open.error();
        return (*open)->client->outline();
    }

    Result<std::vector<PageLink>> links(const std::string& document, const std::string& password,
                                        std::uint32_t page) override {
        const auto open = opened(document, password);
        if (!open) return open.error();
        if (page == 0 || page > (*open)->info.sizes.size())
            return Error{Code::InvalidArgument, document + ", page " + std::to_string(page), "there is no such page"};
        return (*open)->client->links(page - 1);
    }

    Result<std::string> text(const std::string& document) override {
        const auto pdf = isPdf(document);
        if (!pdf) return pdf.error();
        if (*pdf) return Error{Code::InvalidArgument, document, "this document has pages"};
        auto loaded = store_.load(document, {.pdfHelper = helper_, .password = {}, .progress = {}, .stop = {}});
        if (!loaded) return loaded.error();
        return std::move(loaded->text);
    }

    Result<std::vector<Found>> find(const std::string& document, const std::string& password, const std::string& words,
                                    std::uint32_t most) override {
        const auto held = heldText(document, password);
        if (!held) return held.error();
        std::vector<Found> found;
        const Document& in = (*held)->document;
        for (const ByteSpan& span : (*held)->folded.find(words, most)) {
            const bool paged = in.hasPages() && !in.places.empty();
            found.push_back({.page = paged ? static_cast<std::uint32_t>(in.placeOf(span.first)) + 1 : 0,
                             .span = span,
                             .boxes = in.boxesOf(span)});
        }
        return found;
    }

    Result<PageWords> words(const std::string& document, const std::string& password, std::uint32_t page) override {
        const auto held = heldText(document, password);
        if (!held) return held.error();
        const Document& in = (*held)->document;
        if (!in.hasPages() || page == 0 || page > in.places.size())
            return Error{Code::InvalidArgument, document + ", page " + std::to_string(page), "there is no such page"};
        const Place& place = in.places[page - 1];
        return PageWords{place.text, in.text.substr(place.text.first, place.text.count), place.words};
    }

    Status prepare(const std::string& document, const std::string& password) override {
        const auto held = heldText(document, password);
        return held ? Status() : Status(held.error());
    }

    void letGo() override { held_.reset(); }

  private:
    struct HeldText {
        Document document;
        std::string password;
        FoldedText folded;  // refers to document
        HeldText(Document&& of, std::string by)
            : document(std::move(of)), password(std::move(by)), folded(document.text) {}
    };
    struct Open {
        std::string document, password;
        std::unique_ptr<pdf::PdfClient> client;
        pdf::OpenedPdf info;
        std::uint32_t drawn = 0;  // pages
    };

    Result<PageImage> draw(Open& open, std::uint32_t page, std::uint32_t widthPx) {
        const auto where = open.document + ", page " + std::to_string(page);
        const auto& sizes = open.info.sizes;
        if (page == 0 || page > sizes.size()) return Error{Code::InvalidArgument, where, "there is no such page"};
        if (widthPx == 0 || widthPx > kMaxWidthPx)
            return Error{Code::InvalidArgument, where, "pages are drawn 1 to 8192 pixels wide"};
        const auto& size = sizes[page - 1];
        if (size.width <= 0 || size.height <= 0) return Error{Code::Corrupt, where, "the page is damaged"};
        const double height = std::max(1.0, std::round(double{size.height} / size.width * widthPx));
        if (height > kMaxHeightPx || height * widthPx * 4 > pdf::kMaxImageBytes)
            return Error{Code::InvalidArgument, where, "the page is too tall to be drawn this wide"};
        auto image = open.client->render(page - 1, widthPx, static_cast<std::uint32_t>(height));
        if (image) ++open.drawn;
        return image;
    }

    Result<bool> isPdf(const std::string& document) const {
        if (!isSha256(document)) return Error{Code::NotFound, document, "there is no such document"};
        return looksLikePdf(store_.original(document));
    }

    Result<HeldText*> heldText(const std::string& document, const std::string& password) {
        if (held_ && held_->document.sha256 == document && held_->password == password) return held_.get();
        if (!isSha256(document)) return Error{Code::NotFound, document, "there is no such document"};
        auto loaded = store_.load(document, {.pdfHelper = helper_, .password = password, .progress = {}, .stop = {}});
        if (!loaded) return loaded.error();
        held_ = std::make_unique<HeldText>(std::move(*loaded), password);
        return held_.get();
    }

    /// The document's helper, warm or started now; the one used longest ago makes room.
    Result<Open*> opened(const std::string& document, const std::string& password) {
        if (!isSha256(document)) return Error{Code::NotFound, document, "there is no such document"};
        open_.remove_if([](const Open& open) { return !open.client->alive(); });
        const auto known = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
            return open.document == document && open.password == password;
        });
        if (known != open_.end()) {
            open_.splice(open_.begin(), open_, known);
            return &open_.front();
        }
        auto client = pdf::PdfClient::start(helper_, store_.original(document), pageLimit_);
        if (!client) return client.error();
        auto info = (*client)->open(password, {});
        if (!info) return info.error();
        open_.push_front({document, password, std::move(*client), std::move(*info), 0});
        if (open_.size() > kWarmHelpers) open_.pop_back();
        return &open_.front();
    }

    std::filesystem::path helper_;
    DocumentStore store_;
    std::chrono::milliseconds pageLimit_;
    std::list<Open> open_;  // last used first
    std::unique_ptr<HeldText> held_;
};

}  // namespace

std::filesystem::path pdfHelperOf(const std::filesystem::path& program) {
    const std::filesystem::path folder = program.parent_path();
    const auto installed = folder.parent_path() / "libexec/carrel/carrel-pdf";
    std::error_code ignored;
    return std::filesystem::exists(installed, ignored) ? installed : folder / "carrel-pdf";
}

Result<std::unique_ptr<Pages>> Pages::open(const PagesOptions& options) {
    return std::unique_ptr<Pages>(std::make_unique<HelperPages>(options));
}

}  // namespace carrel
