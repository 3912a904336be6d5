#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>
#include <utility>

#include "tokenizer/bpe.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/utf8.h"

namespace carrel {

namespace {

// tokenizer.ggml.token_type
enum class Kind : std::uint8_t { Undefined, Normal, Unknown, Control, UserDefined, Unused, Byte };
constexpr std::int64_t kNormal = 1, kByte = 6;

// What ends a turn in some family of models, whatever the file says of it.
constexpr std::array<std::string_view, 14> kTurnEnds{
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>",       "<end_of_turn>",
    "</s>",       "<eos>",         "<EOT>",      "<|return|>", "<|fim_pad|>",     "<|repo_name|>", "<|file_sep|>"};

/// GPT-2's printable alphabet: code point -> byte. Printable bytes stand for themselves, the others for 256 onwards.
constexpr std::array<std::int16_t, 324> kAlphabet = [] {
    std::array<std::int16_t, 324> bytes{};
    bytes.fill(-1);
    int others = 256;
    for (int b = 0; b < 256; ++b) {
        const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        bytes[static_cast<std::size_t>(printable ? b : others++)] = static_cast<std::int16_t>(b);
    }
    return bytes;
}();

/// Appends the bytes that a vocabulary entry stands for. False: it is not written in the alphabet.
bool appendBytes(std::string_view entry, std::string& out) {
    for (std::size_t i = 0; i < entry.size(); ++i) {
        const auto point = static_cast<unsigned char>(entry[i]);
        std::size_t code = point;
        if (point >= 0x80) {  // the alphabet ends below U+0800: two bytes at most
            if ((point & 0xe0) != 0xc0 || i + 1 == entry.size() || (entry[i + 1] & 0xc0) != 0x80) return false;
            code = (point & 0x1fU) << 6 | (static_cast<unsigned char>(entry[++i]) & 0x3fU);
        }
        if (code >= kAlphabet.size() || kAlphabet[code] < 0) return false;
        out += static_cast<char>(kAlphabet[code]);
    }
    return true;
}

/// A part of a text: words to split, or a token written out.
struct Fragment {
    std::size_t first, bytes;
    std::int32_t token;  // negative: text
};

}  // namespace

struct Tokenizer::Impl {
    explicit Impl(PreTokenizer p, std::size_t mergeCount) : pre(std::move(p)), merges(mergeCount) {}

    PreTokenizer pre;
    MergeTable merges;
    std::string texts;                    // all tokens' bytes, end to end
    std::vector<std::uint32_t> textEnds;  // by id
    std::vector<Kind> kinds;
    std::vector<bool> turnEnds;
    std::array<std::int32_t, 256> byteTokens{};
    std::vector<std::int32_t> written;  // tokens that can be written out in a text, longest first
    std::unordered_map<std::string_view, std::int32_t> words;  // into texts; empty unless whole words go first
    std::optional<std::int32_t> bos, eos;
    bool addsBos = false;

    std::string_view text(std::int32_t id) const {
        const auto i = static_cast<std::size_t>(id);
        const std::uint32_t first = i == 0 ? 0 : textEnds[i - 1];
        return std::string_view(texts).substr(first, textEnds[i] - first);
    }
    bool known(std::int64_t id) const { return id >= 0 && static_cast<std::size_t>(id) < textEnds.size(); }
    bool special(std::size_t id) const {
        return kinds[id] == Kind::Control || kinds[id] == Kind::UserDefined || kinds[id] == Kind::Unknown;
    }

    Status loadWords(const GgufFile& file, std::unordered_map<std::string_view, std::int32_t>& byBytes);
    Status loadMerges(std::span<const std::string> lines,
                      const std::unordered_map<std::string_view, std::int32_t>& byBytes);
    void loadSpecials(const GgufFile& file);
    std::vector<Fragment> fragments(std::string_view text, bool withControls) const;
    Status encodeWords(std::string_view text, BpeMerger& merger, std::vector<BpeSymbol>& out) const;
    Result<std::vector<BpeSymbol>> encode(std::string_view text, bool withControls) const;
};

Status Tokenizer::Impl::loadWords(const GgufFile& file, std::unordered_map<std::string_view, std::int32_t>& byBytes) {
    const std::string where = file.path().string();
    const auto tokens = file.strings("tokenizer.ggml.tokens");
    const auto types = file.integers("tokenizer.ggml.token_type");
    if (!tokens || tokens->empty()) return Error{Code::Corrupt, where, "tokenizer.ggml.tokens is missing"};
    if (types && types->size() != tokens->size())
        return Error{Code::Corrupt, where, "tokenizer.ggml.token_type has another length than the tokens"};
    std::vector<bool> spelled(tokens->size());
    textEnds.reserve(tokens->size());
    kinds.reserve(tokens->size());
    for (std::size_t id = 0; id < tokens->size(); ++id) {
        const std::int64_t type = types ? (*types)[id] : kNormal;
        kinds.push_back(type >= 0 && type <= kByte ? static_cast<Kind>(type) : Kind::Undefined);
        const std::size_t first = texts.size();
        spelled[id] = appendBytes((*tokens)[id], texts);
        if (!spelled[id] || special(id)) texts.replace(first, std::string::npos, (*tokens)[id]);
        textEnds.push_back(static_cast<std::uint32_t>(texts.size()));
    }
    byteTokens.fill(-1);
    byBytes.reserve(textEnds.size());
    for (std::size_t id = 0; id < textEnds.size(); ++id) {
        const auto bytes = text(static_cast<std::int32_t>(id));
        if (!spelled[id] || bytes.empty()) continue;
        byBytes[bytes] = static_cast<std::int32_t>(id);  // of two alike the last is the one in use, as in llama.cpp
        if (bytes.size() == 1) byteTokens[static_cast<unsigned char>(bytes[0])] = static_cast<std::int32_t>(id);
    }
    return {};
}

Status Tokenizer::Impl::loadMerges(std::span<const std::string> lines,
                                   const std::unordered_map<std::string_view, std::int32_t>& byBytes) {
    std::string bytes;
    for (std::size_t rank = 0; rank < lines.size(); ++rank) {
        const std::string_view line = lines[rank];
        const std::size_t space = line.find(' ', 1);
        const Error bad{Code::Corrupt, "tokenizer.ggml.merges",
                        "merge " + std::to_string(rank) + " is not of two tokens that make a third"};
        if (space == std::string_view::npos) return bad;
        bytes.clear();
        if (!appendBytes(line.substr(0, space), bytes)) return bad;
        const std::size_t leftBytes = bytes.size();
        if (!appendBytes(line.substr(space + 1), bytes)) return bad;
        const auto left = byBytes.find(std::string_view(bytes).substr(0, leftBytes)),
                   right = byBytes.find(std::string_view(bytes).substr(leftBytes)), merged = byBytes.find(bytes);
        if (left == byBytes.end() || right == byBytes.end() || merged == byBytes.end()) return bad;
        merges.add(left->second, right->second, {static_cast<std::uint32_t>(rank), merged->second});
    }
    return {};
}

void Tokenizer::Impl::loadSpecials(const GgufFile& file) {
    const auto named = [&](const char* key) -> std::optional<std::int32_t> {
        const auto id = file.integer(key);
        if (!id || *id >= textEnds.size()) return {};
        return static_cast<std::int32_t>(*id);
    };
    bos = named("tokenizer.ggml.bos_token_id");
    eos = named("tokenizer.ggml.eos_token_id");
    addsBos = bos && file.integer("tokenizer.ggml.add_bos_token").value_or(pre.addsBos()) != 0;
    turnEnds.resize(textEnds.size());
    for (std::size_t id = 0; id < textEnds.size(); ++id) {
        const auto bytes = text(static_cast<std::int32_t>(id));
        if (std::ranges::find(kTurnEnds, bytes) != kTurnEnds.end()) {
            turnEnds[id] = true;
            kinds[id] = Kind::Control;  // some files forget it
        }
        if (special(id) && !bytes.empty()) written.push_back(static_cast<std::int32_t>(id));
    }
    for (const auto id : {eos, named("tokenizer.ggml.eot_token_id"), named("tokenizer.ggml.eom_token_id")})
        if (id) turnEnds[static_cast<std::size_t>(*id)] = true;
    std::ranges::stable_sort(written, std::ranges::greater(), [&](std::int32_t id) { return text(id).size(); });
}

Result<Tokenizer> Tokenizer::load(const GgufFile& file) {
    const std::string where = file.path().string();
    const auto model = file.string("tokenizer.ggml.model");
    if (!model) return Error{Code::Corrupt, where, "tokenizer.ggml.model is missing"};
    if (*model != "gpt2") return Error{Code::Unsupported, where, "tokenizer " + std::string(model->substr(0, 64))};
    auto pre = PreTokenizer::named(file.string("tokenizer.ggml.pre").value_or("default"));
    if (!pre) return pre.error();
    const auto lines = file.strings("tokenizer.ggml.merges");
    if (!lines) return Error{Code::Corrupt, where, "tokenizer.ggml.merges is missing"};
    auto impl = std::make_unique<Impl>(*std::move(pre), lines->size());
    std::unordered_map<std::string_view, std::int32_t> byBytes;
    if (auto s = impl->loadWords(file, byBytes); !s) return s.error();
    if (auto s = impl->loadMerges(*lines, byBytes); !s) return s.error();
    impl->loadSpecials(file);
    if (impl->pre.wholeWordsFirst()) impl->words = std::move(byBytes);
    return Tokenizer(std::move(impl));
}

std::vector<Fragment> Tokenizer::Impl::fragments(std::string_view whole, bool withControls) const {
    std::vector<Fragment> parts{{0, whole.size(), -1}}, cut;
    for (const std::int32_t id : written) {
        if (!withControls && kinds[static_cast<std::size_t>(id)] != Kind::UserDefined) continue;
        if (whole.find(text(id)) == std::string_view::npos) continue;
        cut.clear();
        for (const Fragment& part : parts) {
            std::size_t at = part.first;
            const auto end = part.first + part.bytes;
            while (part.token < 0) {
                const auto found = whole.substr(0, end).find(text(id), at);
                if (found == std::string_view::npos) break;
                if (found > at) cut.push_back({at, found - at, -1});
                cut.push_back({found, text(id).size(), id});
                at = found + text(id).size();
            }
            if (at < end) cut.push_back({at, end - at, part.token});
        }
        std::swap(parts, cut);
    }
    return parts;
}

/// Appends the tokens of text without written-out tokens. Symbols with negative ids are bytes without token.
Status Tokenizer::Impl::encodeWords(std::string_view whole, BpeMerger& merger, std::vector<BpeSymbol>& out) const {
    Words split(pre, whole);
    std::vector<BpeSymbol> symbols;
    while (true) {
        const auto word = split.next();
        if (!word) return word.error();
        if (word->empty()) return {};
        if (const auto at = words.find(*word); at != words.end()) {
            out.push_back({at->second, static_cast<std::uint32_t>(word->size())});
            continue;
        }
        symbols.clear();
        for (const char c : *word) symbols.push_back({byteTokens[static_cast<unsigned char>(c)], 1});
        merger.merge(symbols);
        out.insert(out.end(), symbols.begin(), symbols.end());
    }
}

/// Tokens of valid UTF-8, bytes without token already given to their neighbours.
Result<std::vector<BpeSymbol>> Tokenizer::Impl::encode(std::string_view whole, bool withControls) const {
    if (whole.size() > std::numeric_limits<std::uint32_t>::max())
        return Error{Code::InvalidArgument, "text", "4 GiB and more"};
    std::vector<BpeSymbol> out;
    if (whole.empty()) return out;
    BpeMerger merger(merges);
    for (const Fragment& part : fragments(whole, withControls)) {
        if (part.token >= 0)
            out.push_back({part.token, static_cast<std::uint32_t>(part.bytes)});
        else if (auto s = encodeWords(whole.substr(part.first, part.bytes), merger, out); !s)
            return s.error();
    }
    std::uint32_t leading = 0;
    std::size_t kept = 0;
    for (const BpeSymbol symbol : out) {
        if (symbol.id >= 0)
            out[kept++] = {symbol.id, symbol.bytes + std::exchange(leading, 0)};
        else
            (kept > 0 ? out[kept - 1].bytes : leading) += symbol.bytes;
    }
    out.resize(kept);
    return out;
}

Result<std::vector<TextToken>> Tokenizer::encode(std::string_view text) const {
    if (text.size() > std::numeric_limits<std::uint32_t>::max())
        return Error{Code::InvalidArgument, "text", "4 GiB and more"};
    const bool valid = validUtf8Prefix(text) == text.size();
    const RepairedText repaired = valid ? RepairedText{} : repairUtf8(text);
    const auto symbols = impl_->encode(valid ? text : repaired.text, false);
    if (!symbols) return symbols.error();
    std::vector<TextToken> out;
    out.reserve(symbols->size());
    std::size_t repairedEnd = 0, place = 0;
    std::uint32_t first = 0;
    for (const BpeSymbol symbol : *symbols) {
        repairedEnd += symbol.bytes;
        // A replacement is three bytes that stand for one: it counts where it ends.
        while (place < repaired.places.size() && repaired.places[place] + 3 <= repairedEnd) ++place;
        const std::size_t inside = place < repaired.places.size() && repaired.places[place] < repairedEnd
                                       ? repairedEnd - repaired.places[place]
                                       : 0;
        const auto end = static_cast<std::uint32_t>(repairedEnd - inside - 2 * place);
        out.push_back({symbol.id, first, end - first});
        first = end;
    }
    return out;
}

Result<std::vector<std::int32_t>> Tokenizer::encodeWithSpecials(std::string_view text) const {
    const bool valid = validUtf8Prefix(text) == text.size();
    const RepairedText repaired = valid ? RepairedText{} : repairUtf8(text);
    const auto symbols = impl_->encode(valid ? text : repaired.text, true);
    if (!symbols) return symbols.error();
    std::vector<std::int32_t> out;
    out.reserve(symbols->size());
    for (const BpeSymbol symbol : *symbols) out.push_back(symbol.id);
    return out;
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::string_view Tokenizer::bytes(std::int32_t id) const {
    return impl_->known(id) ? impl_->text(id) : std::string_view();
}
bool Tokenizer::isSpecial(std::int32_t id) const {
    return impl_->known(id) && impl_->special(static_cast<std::size_t>(id));
}
std::optional<std::int32_t> Tokenizer::special(std::string_view name) const {
    const auto at = std::ranges::find(impl_->written, name, [&](std::int32_t id) { return impl_->text(id); });
    if (at == impl_->written.end()) return {};
    return *at;
}
std::optional<std::int32_t> Tokenizer::bos() const {
    return impl_->bos;
}
std::optional<std::int32_t> Tokenizer::eos() const {
    return impl_->eos;
}
bool Tokenizer::addsBos() const {
    return impl_->addsBos;
}
bool Tokenizer::endsTurn(std::int32_t id) const {
    return impl_->known(id) && impl_->turnEnds[static_cast<std::size_t>(id)];
}
std::size_t Tokenizer::vocabularySize() const {
    return impl_->textEnds.size();
}

}  // namespace carrel
