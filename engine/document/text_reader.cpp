#include "document/markdown.h"
#include "document/reader.h"
#include "document/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace carrel {
namespace {

constexpr std::uint64_t kPlaceBytes = 3000;  // about a page
constexpr std::size_t kHeadingBytes = 60;

// Windows-1252, which Latin-1 files are in practice: 0x80..0x9F.
constexpr std::array<char16_t, 32> kWindows1252 = {0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                   0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD,
                                                   0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                   0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};

std::string fromLatin(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() + bytes.size() / 8);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        appendUtf8(text, byte >= 0x80 && byte < 0xA0 ? kWindows1252[byte - 0x80] : byte);
    }
    return text;
}

std::string fromUtf16(std::string_view bytes, bool bigEndian) {
    std::string text;
    text.reserve(bytes.size());
    const auto unit = [&](std::size_t i) {
        const auto a = static_cast<unsigned char>(bytes[i]), b = static_cast<unsigned char>(bytes[i + 1]);
        return static_cast<char32_t>(bigEndian ? a << 8 | b : b << 8 | a);
    };
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        char32_t code = unit(i);
        if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size() && unit(i + 2) >= 0xDC00 && unit(i + 2) < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
            i += 2;
        } else if (code >= 0xD800 && code < 0xE000) {
            code = 0xFFFD;
        }
        appendUtf8(text, code);
    }
    return text;
}

// UTF-8 with a few broken characters is still UTF-8; text in which most bytes past ASCII are broken is Latin.
bool looksLikeUtf8(std::string_view bytes) {
    std::size_t whole = 0, broken = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        utf8proc_int32_t code = 0;
        const auto got = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + at),
                                          static_cast<utf8proc_ssize_t>(bytes.size() - at), &code);
        whole += got > 1;
        broken += got <= 0;
        at += got > 0 ? static_cast<std::size_t>(got) : 1;
    }
    return broken == 0 || whole > 10 * broken;
}

bool looksBinary(std::string_view bytes) {
    const auto odd = std::count_if(bytes.begin(), bytes.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\x1b' && c != '\b';
    });
    return bytes.find('\0') != std::string_view::npos || static_cast<std::size_t>(odd) * 100 > bytes.size();
}

Result<std::string> decode(std::string bytes, const std::string& name) {
    const std::string_view all = bytes;
    const Error binary{Code::NotADocument, name, "the file is neither a PDF nor text"};
    std::string text;
    if (all.starts_with("\xFF\xFE") || all.starts_with("\xFE\xFF"))
        text = fromUtf16(all.substr(2), all[0] == '\xFE');
    else if (all.starts_with("\xEF\xBB\xBF"))
        text = all.substr(3);
    else if (looksBinary(all))
        return binary;
    else
        text = looksLikeUtf8(all) ? std::move(bytes) : fromLatin(all);
    if (looksBinary(text)) return binary;
    return cleanUtf8(std::as_bytes(std::span(text)));
}

bool isBlank(std::string_view line) {
    return line.find_first_not_of(" \t") == std::string_view::npos;
}

/// Ends of the pieces that blank lines part, each at most twice a place long.
std::vector<Place> plainPlaces(std::string_view text) {
    std::vector<Place> places;
    std::size_t first = std::string_view::npos, end = 0;  // of the place at hand, blank lines at its end left out
    const auto close = [&] {
        if (first == std::string_view::npos) return;
        const auto body = text.substr(first, end - first);
        const auto line = oneLine(body.substr(0, body.find('\n')));
        Place place;
        place.text = {first, end - first};
        place.heading = prefix(line, kHeadingBytes);
        places.push_back(std::move(place));
        first = std::string_view::npos;
    };
    bool afterBlank = true;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t lineEnd = std::min(text.find('\n', at), text.size());
        // A line without an end is cut, or a file of one line would be one place.
        const auto line = prefix(text.substr(at, lineEnd - at), 2 * kPlaceBytes);
        const std::size_t next = at + line.size() + (at + line.size() == lineEnd);
        if (!isBlank(line)) {
            const auto size = first == std::string_view::npos ? 0 : end - first;
            if ((afterBlank && size + line.size() > kPlaceBytes) || size + line.size() > 2 * kPlaceBytes) close();
            if (first == std::string_view::npos) first = at;
            end = at + line.size();
        }
        afterBlank = isBlank(line);
        at = next;
    }
    close();
    return places;
}

}  // namespace

Result<Document> readText(std::string bytes, const std::string& name) {
    auto text = decode(std::move(bytes), name);
    if (!text) return text.error();
    if (oneLine(*text).empty()) return Error{Code::NotADocument, name, "the file holds no text"};
    Document document;
    document.text = std::move(*text);
    if (auto sections = markdownSections(document.text); !sections.empty()) {
        document.kind = DocumentKind::Markdown;
        const auto titled =
            std::find_if(sections.begin(), sections.end(), [](const Place& p) { return !p.heading.empty(); });
        if (titled != sections.end()) document.title = titled->heading;
        document.places = std::move(sections);
    } else {
        document.kind = DocumentKind::PlainText;
        document.places = plainPlaces(document.text);
    }
    return document;
}

}  // namespace carrel
