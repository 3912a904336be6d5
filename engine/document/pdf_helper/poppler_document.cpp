#include "document/pdf_helper/poppler_document.h"

#include "document/pdf_helper/glib_owners.h"

#include <cairo.h>
#include <fcntl.h>

#include <algorithm>
#include <cmath>

namespace carrel::pdf {
namespace {

PopplerDocument* load(int fd, const char* password, int& errorCode) {
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 4);  // Poppler closes what it is given
    if (own < 0) return nullptr;
    GError* error = nullptr;
    PopplerDocument* document = poppler_document_new_from_fd(own, password, &error);
    errorCode = error && error->domain == POPPLER_ERROR ? error->code : POPPLER_ERROR_INVALID;
    g_clear_error(&error);
    return document;
}

// U+202A..U+202E are added by Poppler to lines written right to left; they have no rectangle.
bool isBidiMark(gunichar c) {
    return c >= 0x202A && c <= 0x202E;
}

}  // namespace

void PopplerFile::Unref::operator()(PopplerDocument* document) const {
    g_object_unref(document);
}

Outcome PopplerFile::open(int fd, const std::string& password) {
    int code = 0;
    document_.reset(load(fd, nullptr, code));
    usedPassword_ = false;
    if (!document_ && code == POPPLER_ERROR_ENCRYPTED) {
        if (password.empty()) return Outcome::NeedsPassword;
        document_.reset(load(fd, password.c_str(), code));
        // poppler-glib turns UTF-8 into Latin-1 first, which is right up to PDF 1.7; AES-256 wants the UTF-8 itself.
        if (!document_) {
            const std::unique_ptr<char, GFree> wide(
                g_convert(password.c_str(), -1, "UTF-8", "ISO-8859-1", nullptr, nullptr, nullptr));
            if (wide) document_.reset(load(fd, wide.get(), code));
        }
        usedPassword_ = true;
        if (!document_) return Outcome::WrongPassword;
    }
    if (!document_) return Outcome::Damaged;
    const int pages = poppler_document_get_n_pages(document_.get());
    if (pages <= 0) return Outcome::Damaged;
    pages_ = static_cast<std::uint32_t>(pages);
    return pages_ > kMaxPages ? Outcome::TooLarge : Outcome::Ok;
}

std::string PopplerFile::title() const {
    const std::unique_ptr<char, GFree> title(poppler_document_get_title(document_.get()));
    return title && g_utf8_validate(title.get(), -1, nullptr) ? title.get() : "";
}

std::vector<PageSize> PopplerFile::sizes() const {
    std::vector<PageSize> sizes(pages_);
    for (std::uint32_t i = 0; i < pages_; ++i) {
        const auto page = pageOf(document_.get(), i);
        if (!page) continue;
        double width = 0, height = 0;
        poppler_page_get_size(page.get(), &width, &height);
        if (std::isfinite(width) && std::isfinite(height) && width > 0 && height > 0)
            sizes[i] = {static_cast<float>(width), static_cast<float>(height)};
    }
    return sizes;
}

Outcome PopplerFile::text(std::uint32_t index, PageText& out) const {
    const auto page = pageOf(document_.get(), index);
    if (!page) return Outcome::NoPage;
    double width = 0, height = 0;
    poppler_page_get_size(page.get(), &width, &height);
    // The page alone would do, but Poppler then ends a paragraph at the first line that runs off it.
    PopplerRectangle area{-width, -height, 2 * width, 2 * height};
    const std::unique_ptr<char, GFree> text(poppler_page_get_text_for_area(page.get(), &area));
    if (!text || !g_utf8_validate(text.get(), -1, nullptr)) return Outcome::NoPage;
    PopplerRectangle* raw = nullptr;
    guint count = 0;
    poppler_page_get_text_layout_for_area(page.get(), &area, &raw, &count);
    const std::unique_ptr<PopplerRectangle, GFree> rectangles(raw);

    std::vector<PageChar> chars;
    for (const char* at = text.get(); *at; at = g_utf8_next_char(at))
        if (const gunichar c = g_utf8_get_char(at); !isBidiMark(c)) chars.push_back({static_cast<char32_t>(c), {}});
    if (chars.size() == count) {  // else the text stands, without boxes
        for (guint i = 0; i < count; ++i) {
            const auto& r = rectangles.get()[i];
            if (!std::isfinite(r.x1) || !std::isfinite(r.x2) || !std::isfinite(r.y1) || !std::isfinite(r.y2)) continue;
            chars[i].box = {static_cast<float>(std::min(r.x1, r.x2)), static_cast<float>(std::min(r.y1, r.y2)),
                            static_cast<float>(std::fabs(r.x2 - r.x1)), static_cast<float>(std::fabs(r.y2 - r.y1))};
        }
    }
    out = buildPageText(onPage(std::move(chars), {0, 0, static_cast<float>(width), static_cast<float>(height)}));
    return Outcome::Ok;
}

Outcome PopplerFile::render(std::uint32_t index, std::uint32_t width, std::uint32_t height, std::byte* pixels) const {
    const auto page = pageOf(document_.get(), index);
    if (!page) return Outcome::NoPage;
    double pageWidth = 0, pageHeight = 0;
    poppler_page_get_size(page.get(), &pageWidth, &pageHeight);
    if (!(pageWidth > 0) || !(pageHeight > 0)) return Outcome::NoPage;
    auto* surface = cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(pixels), CAIRO_FORMAT_ARGB32,
                                                        static_cast<int>(width), static_cast<int>(height),
                                                        static_cast<int>(width * 4));
    auto* cairo = cairo_create(surface);
    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    cairo_scale(cairo, width / pageWidth, height / pageHeight);
    poppler_page_render(page.get(), cairo);
    const auto status = cairo_status(cairo);
    cairo_destroy(cairo);
    cairo_surface_finish(surface);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_NO_MEMORY) return Outcome::NoMemory;
    return status == CAIRO_STATUS_SUCCESS ? Outcome::Ok : Outcome::NoPage;
}

}  // namespace carrel::pdf
