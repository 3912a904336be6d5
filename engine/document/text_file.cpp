#include "document/text_file.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "document/utf8.h"

#include <cmath>
#include <cstring>
#include <string_view>

namespace carrel {
namespace {

// text.v1, little-endian. The version also counts up when extraction changes, so that documents are read again.
//    0 u8[8] "CARRTEXT"     8 u32 version     12 u32 kind     16 u64 bytes that follow the header     24 u64 xxh3 of
//    them
// then: sha256, title, text (each u64 bytes + bytes); u64 places; u64 words in all; u64 pagesWithoutText;
//       places x {u64 first, u64 count, f32 width, f32 height, u64 words, heading (u64 bytes + bytes)};
//       words x {u32 first, u32 count, f32 x, y, width, height}; pagesWithoutText x u32
constexpr char kMagic[8] = {'C', 'A', 'R', 'R', 'T', 'E', 'X', 'T'};
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPlaceBytes = 40;  // at least
struct Header {
    char magic[8];
    std::uint32_t version, kind;
    std::uint64_t bytes, checksum;
};
static_assert(sizeof(Header) == 32 && sizeof(WordBox) == 24);

template <class T>
void put(std::string& out, const T& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void putText(std::string& out, std::string_view text) {
    put(out, std::uint64_t{text.size()});
    out.append(text);
}

class Parser {
  public:
    Parser(std::span<const std::byte> bytes, std::string name) : in_(bytes, name), name_(std::move(name)) {}

    Result<Document> parse() {
        Document document;
        std::uint64_t places = 0, words = 0, without = 0;
        if (!text(document.sha256) || !text(document.title) || !text(document.text) || !get(places) || !get(words) ||
            !get(without))
            return in_.truncated();
        if (places > in_.left() / kPlaceBytes || words > in_.left() / sizeof(WordBox) ||
            without > in_.left() / sizeof(std::uint32_t))
            return in_.truncated();
        document.places.resize(places);
        std::vector<std::uint64_t> wordsOf(places);
        std::uint64_t end = 0, sum = 0;
        for (std::uint64_t i = 0; i < places; ++i) {
            auto& place = document.places[i];
            if (!get(place.text.first) || !get(place.text.count) || !get(place.size) || !get(wordsOf[i]) ||
                !text(place.heading))
                return in_.truncated();
            if (place.text.first < end || place.text.first > document.text.size() ||
                place.text.count > document.text.size() - place.text.first || wordsOf[i] > words - sum ||
                !plausible(place.size))
                return corrupt();
            end = place.text.first + place.text.count;
            sum += wordsOf[i];
        }
        if (sum != words) return corrupt();
        for (std::uint64_t i = 0; i < places; ++i)
            if (const auto read = readWords(document.places[i], wordsOf[i]); !read) return read.error();
        document.pagesWithoutText.resize(without);
        for (auto& page : document.pagesWithoutText) {
            if (!get(page)) return in_.truncated();
            if (page == 0 || page > places) return corrupt();
        }
        if (in_.left() > 0 || !isCleanUtf8(std::as_bytes(std::span(document.text)))) return corrupt();
        return document;
    }

  private:
    template <class T>
    bool get(T& value) {
        const auto got = in_.read<T>();
        if (got) value = *got;
        return static_cast<bool>(got);
    }
    bool text(std::string& value) {
        std::uint64_t bytes = 0;
        if (!get(bytes)) return false;
        const auto got = in_.take(bytes);
        if (got) value.assign(reinterpret_cast<const char*>(got->data()), got->size());
        return static_cast<bool>(got);
    }
    static bool plausible(const PageSize& size) {
        return std::isfinite(size.width) && std::isfinite(size.height) && size.width >= 0 && size.height >= 0;
    }
    Status readWords(Place& place, std::uint64_t count) {
        place.words.resize(count);
        std::uint64_t end = place.text.first;
        for (auto& word : place.words) {
            if (!get(word)) return in_.truncated();
            const auto& box = word.box;
            if (word.first < end || std::uint64_t{word.first} + word.count > place.text.first + place.text.count ||
                !std::isfinite(box.x + box.y + box.width + box.height))
                return corrupt();
            end = std::uint64_t{word.first} + word.count;
        }
        return {};
    }
    Error corrupt() const { return {Code::Corrupt, in_.where(), "not a document's text"}; }

    ByteReader in_;
    std::string name_;
};

}  // namespace

std::string writeTextFile(const Document& document) {
    std::string out(sizeof(Header), '\0');
    putText(out, document.sha256);
    putText(out, document.title);
    putText(out, document.text);
    std::uint64_t words = 0;
    for (const auto& place : document.places) words += place.words.size();
    put(out, std::uint64_t{document.places.size()});
    put(out, words);
    put(out, std::uint64_t{document.pagesWithoutText.size()});
    for (const auto& place : document.places) {
        put(out, place.text.first);
        put(out, place.text.count);
        put(out, place.size);
        put(out, std::uint64_t{place.words.size()});
        putText(out, place.heading);
    }
    for (const auto& place : document.places)
        for (const auto& word : place.words) put(out, word);
    for (const auto page : document.pagesWithoutText) put(out, page);

    const auto body = std::as_bytes(std::span(out)).subspan(sizeof(Header));
    Header header{.magic = {},
                  .version = kVersion,
                  .kind = static_cast<std::uint32_t>(document.kind),
                  .bytes = body.size(),
                  .checksum = xxh3(body)};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
}

Result<Document> parseTextFile(std::span<const std::byte> bytes, const std::string& sha256, const std::string& name) {
    ByteReader in(bytes, name);
    const auto header = in.read<Header>();
    if (!header) return header.error();
    if (std::memcmp(header->magic, kMagic, sizeof kMagic) != 0)
        return Error{Code::Corrupt, name, "not a document's text"};
    if (header->version != kVersion)
        return Error{Code::Unsupported, name, "version " + std::to_string(header->version)};
    if (header->bytes != in.left()) return in.truncated();
    const auto body = bytes.subspan(sizeof(Header));
    if (xxh3(body) != header->checksum) return Error{Code::Corrupt, name, "the checksum does not match"};
    if (header->kind > static_cast<std::uint32_t>(DocumentKind::PlainText))
        return Error{Code::Corrupt, name, "unknown kind of document"};
    auto document = Parser(body, name).parse();
    if (!document) return document.error();
    if (document->sha256 != sha256) return Error{Code::Corrupt, name, "the text of another document"};
    document->kind = static_cast<DocumentKind>(header->kind);
    return document;
}

}  // namespace carrel
