#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "tokenizer/bpe.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/spm.h"
#include "tokenizer/utf8.h"
#include "tokenizer/written_tokens.h"

namespace carrel {

namespace {

// tokenizer.ggml.token_type
enum class Kind : std::uint8_t { Undefined, Normal, Unknown, Control, UserDefined, Unused, Byte };
constexpr std::int64_t kNormal = 1, kByte = 6;

// What ends a turn in some family of models, whatever the file says of it.
constexpr std::array<std::string_view, 16> kTurnEnds{
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>",    "<|eom_id|>",   "<|end_of_text|>",
    "<|end|>",    "<end_of_turn>", "</s>",          "<eos>",        "<EOT>",
    "<|return|>", "<|fim_pad|>",   "<|repo_name|>", "<|file_sep|>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<|eot|>"};

/// The byte that a token such as <0x0A> stands for; negative: it is another.
int byteOf(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
    const int high = digit(token[3]), low = digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// A SentencePiece entry with its spaces as spaces.
std::string withSpaces(std::string_view entry) {
    std::string out;
    for (std::size_t at; (at = entry.find(kSpmSpace)) != std::string_view::npos;) {
        out.append(entry.substr(0, at)) += ' ';
        entry.remove_prefix(at + kSpmSpace.size());
    }
    return out.append(entry);
}

}  // namespace

struct Tokenizer::Impl {
    /// What byte-level BPE needs.
    struct Bpe {
        Bpe(PreTokenizer p, std::size_t mergeCount) : pre(std::move(p)), merges(mergeCount) {}
        PreTokenizer pre;
        MergeTable merges;
        std::array<std::int32_t, 256> byteTokens{};
        std::optional<TextIndex> words;  // where whole words go first
    };

    TokenTexts texts;
    std::vector<Kind> kinds;
    std::vector<bool> turnEnds;
    std::optional<Bpe> bpe;  // this one or
    std::optional<SpmPieces> spm;
    std::optional<WrittenTokens> written;
    std::optional<std::int32_t> bos, eos;
    bool addsBos = false, addsSpace = false;  // addsSpace: as if a space stood before a text

    bool known(std::int64_t id) const { return id >= 0 && static_cast<std::size_t>(id) < texts.size(); }
    bool special(std::size_t id) const {
        return kinds[id] == Kind::Control || kinds[id] == Kind::UserDefined || kinds[id] == Kind::Unknown;
    }

    Status loadKinds(const GgufFile& file, std::span<const std::string> tokens);
    Status loadBpe(const GgufFile& file);
    Status loadMerges(std::span<const std::string> lines, const TextIndex& byBytes);
    Status loadSpm(const GgufFile& file);
    void loadSpecials(const GgufFile& file, bool addsBosByDefault);
    Status encodeWords(std::string_view text, BpeMerger& merger, std::vector<BpeSymbol>& out) const;
    Result<std::vector<BpeSymbol>> encode(std::string_view text, bool withControls, TextStart start) const;
};

/// The type of every token; what ends a turn is a control token, which some files forget.
Status Tokenizer::Impl::loadKinds(const GgufFile& file, std::span<const std::string> tokens) {
    const auto types = file.integers("tokenizer.ggml.token_type");
    if (types && types->size() != tokens.size())
        return Error{Code::Corrupt, file.path().string(),
                     "tokenizer.ggml.token_type has another length than the tokens"};
    kinds.reserve(tokens.size());
    texts.reserve(tokens.size());
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        const std::int64_t type = types ? (*types)[id] : kNormal;
        turnEnds.push_back(std::ranges::find(kTurnEnds, tokens[id]) != kTurnEnds.end());
        kinds.push_back(turnEnds[id]                 ? Kind::Control
                        : type >= 0 && type <= kByte ? static_cast<Kind>(type)
                                                     : Kind::Undefined);
    }
    return {};
}

Status Tokenizer::Impl::loadBpe(const GgufFile& file) {
    auto pre = PreTokenizer::named(file.string("tokenizer.ggml.pre").value_or("default"));
    if (!pre) return pre.error();
    const auto lines = file.strings("tokenizer.ggml.merges");
    if (!lines) return Error{Code::Corrupt, file.path().string(), "tokenizer.ggml.merges is missing"};
    bpe.emplace(*std::move(pre), lines->size());
    const auto tokens = *file.strings("tokenizer.ggml.tokens");
    std::vector<bool> spelled(tokens.size());
    std::string bytes;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        bytes.clear();
        spelled[id] = appendBytes(tokens[id], bytes);
        texts.append(!spelled[id] || special(id) ? tokens[id] : bytes);
    }
    bpe->byteTokens.fill(-1);
    TextIndex byBytes(texts, texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto id = static_cast<std::int32_t>(i);
        const auto text = texts[id];
        if (!spelled[i] || text.empty()) continue;
        byBytes.add(id);  // of two alike the last is the one in use, as in llama.cpp
        if (text.size() == 1) bpe->byteTokens[static_cast<unsigned char>(text[0])] = id;
    }
    if (auto s = loadMerges(*lines, byBytes); !s) return s.error();
    if (bpe->pre.wholeWordsFirst()) bpe->words = std::move(byBytes);
    return {};
}

Status Tokenizer::Impl::loadMerges(std::span<const std::string> lines, const TextIndex& byBytes) {
    std::string bytes;
    for (std::size_t rank = 0; rank < lines.size(); ++rank) {
        const std::string_view line = lines[rank];
        const std::size_t space = std::min(line.find(' ', 1), line.size());
        bytes.clear();
        bool good = space < line.size() && appendBytes(line.substr(0, space), bytes);
        const std::size_t leftBytes = bytes.size();
        good = good && appendBytes(line.substr(space + 1), bytes);
        const std::string_view whole = bytes;
        const std::int32_t left = good ? byBytes.find(whole.substr(0, leftBytes)) : -1,
                           right = left >= 0 ? byBytes.find(whole.substr(leftBytes)) : -1,
                           merged = right >= 0 ? byBytes.find(whole) : -1;
        if (merged < 0)
            return Error{Code::Corrupt, "tokenizer.ggml.merges",
                         "merge " + std::to_string(rank) + " is not of two tokens that make a third"};
        bpe->merges.add(left, right, {static_cast<std::uint32_t>(rank), merged});
    }
    return {};
}

Status Tokenizer::Impl::loadSpm(const GgufFile& file) {
    const auto tokens = *file.strings("tokenizer.ggml.tokens");
    const auto scores = file.reals("tokenizer.ggml.scores");
    const auto whole = file.integers("tokenizer.ggml.scores");  // some files' are integers, some have none
    for (const std::size_t count : {scores ? scores->size() : tokens.size(), whole ? whole->size() : tokens.size()})
        if (count != tokens.size())
            return Error{Code::Corrupt, file.path().string(),
                         "tokenizer.ggml.scores has another length than the tokens"};
    std::string text;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        text = tokens[id];
        if (const int byte = byteOf(text); byte >= 0 && !special(id)) {
            kinds[id] = Kind::Byte;
            text = static_cast<char>(byte);
        } else if (kinds[id] != Kind::Control && kinds[id] != Kind::Unknown) {
            text = withSpaces(tokens[id]);
            if (text.size() != tokens[id].size()) kinds[id] = Kind::Normal;  // merges lead to it, it is not written so
        }
        texts.append(text);
    }
    spm.emplace(texts, tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto id = static_cast<std::int32_t>(i);
        const float score = scores ? (*scores)[i] : whole ? static_cast<float>((*whole)[i]) : 0.0F;
        if (std::isnan(score)) return Error{Code::Corrupt, file.path().string(), "a token's score is no number"};
        if (kinds[i] == Kind::Byte && texts[id].size() == 1) {
            spm->setByte(static_cast<unsigned char>(texts[id][0]), id);
        } else if (kinds[i] != Kind::Control && kinds[i] != Kind::Unknown && !tokens[i].empty() &&
                   tokens[i].find(' ') == std::string::npos) {
            // A control token's name in a text stays text, and what has real spaces is only ever written out.
            spm->add(id, score);
        }
    }
    addsSpace = file.integer("tokenizer.ggml.add_space_prefix").value_or(1) != 0;
    return {};
}

void Tokenizer::Impl::loadSpecials(const GgufFile& file, bool addsBosByDefault) {
    const auto named = [&](const char* key, std::int64_t otherwise) -> std::optional<std::int32_t> {
        const auto id = file.integer(key);
        const std::int64_t found = id && *id < texts.size() ? static_cast<std::int64_t>(*id) : otherwise;
        if (!known(found)) return {};
        return static_cast<std::int32_t>(found);
    };
    bos = named("tokenizer.ggml.bos_token_id", spm ? 1 : -1);
    eos = named("tokenizer.ggml.eos_token_id", spm ? 2 : -1);
    addsBos = bos && file.integer("tokenizer.ggml.add_bos_token").value_or(addsBosByDefault) != 0;
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto id = static_cast<std::int32_t>(i);
        if (special(i) && !texts[id].empty()) ids.push_back(id);
    }
    for (const auto id : {eos, named("tokenizer.ggml.eot_token_id", -1), named("tokenizer.ggml.eom_token_id", -1)})
        if (id) turnEnds[static_cast<std::size_t>(*id)] = true;
    written.emplace(texts, std::move(ids));
}

Result<Tokenizer> Tokenizer::load(const GgufFile& file) {
    const std::string where = file.path().string();
    const auto model = file.string("tokenizer.ggml.model");
    if (!model) return Error{Code::Corrupt, where, "tokenizer.ggml.model is missing"};
    if (*model != "gpt2" && *model != "llama")
        return Error{Code::Unsupported, where, "tokenizer " + std::string(model->substr(0, 64))};
    const auto tokens = file.strings("tokenizer.ggml.tokens");
    if (!tokens || tokens->empty()) return Error{Code::Corrupt, where, "tokenizer.ggml.tokens is missing"};
    auto impl = std::make_unique<Impl>();
    if (auto s = impl->loadKinds(file, *tokens); !s) return s.error();
    if (auto s = *model == "llama" ? impl->loadSpm(file) : impl->loadBpe(file); !s) return s.error();
    impl->loadSpecials(file, impl->spm || impl->bpe->pre.addsBos());
    return Tokenizer(std::move(impl));
}

/// Appends the tokens of text without written-out tokens. Symbols with negative ids are bytes without token.
Status Tokenizer::Impl::encodeWords(std::string_view whole, BpeMerger& merger, std::vector<BpeSymbol>& out) const {
    Words split(bpe->pre, whole);
    std::vector<BpeSymbol> symbols;
    while (true) {
        const auto word = split.next();
        if (!word) return word.error();
        if (word->empty()) return {};
        if (const auto id = bpe->words ? bpe->words->find(*word) : -1; id >= 0) {
            out.push_back({id, static_cast<std::uint32_t>(word->size())});
            continue;
        }
        symbols.clear();
        for (const char c : *word) symbols.push_back({bpe->byteTokens[static_cast<unsigned char>(c)], 1});
        merger.merge(symbols);
        out.insert(out.end(), symbols.begin(), symbols.end());
    }
}

/// Tokens of valid UTF-8, bytes without token already given to their neighbours.
Result<std::vector<BpeSymbol>> Tokenizer::Impl::encode(std::string_view whole, bool withControls,
                                                       TextStart start) const {
    if (whole.size() > std::numeric_limits<std::uint32_t>::max())
        return Error{Code::InvalidArgument, "text", "4 GiB and more"};
    std::vector<BpeSymbol> out;
    if (whole.empty()) return out;
    std::optional<BpeMerger> merger;
    std::optional<SpmEncoder> encoder;
    if (bpe) merger.emplace(bpe->merges);
    if (spm) encoder.emplace(*spm);
    bool afterText = start == TextStart::AfterText;
    const auto counts = [&](std::int32_t id) {
        return withControls || kinds[static_cast<std::size_t>(id)] == Kind::UserDefined;
    };
    for (const Fragment& part : written->cut(whole, counts)) {
        const std::string_view text = whole.substr(part.first, part.bytes);
        if (part.token >= 0)
            out.push_back({part.token, static_cast<std::uint32_t>(part.bytes)});
        else if (spm)
            encoder->encode(text, addsSpace && !afterText, out);
        else if (auto s = encodeWords(text, *merger, out); !s)
            return s.error();
        afterText = part.token < 0;
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

Result<std::vector<TextToken>> Tokenizer::encode(std::string_view text, TextStart start) const {
    if (text.size() > std::numeric_limits<std::uint32_t>::max())
        return Error{Code::InvalidArgument, "text", "4 GiB and more"};
    const bool valid = validUtf8Prefix(text) == text.size();
    const RepairedText repaired = valid ? RepairedText{} : repairUtf8(text);
    const auto symbols = impl_->encode(valid ? text : repaired.text, false, start);
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

Result<std::vector<std::int32_t>> Tokenizer::encodeWithSpecials(std::string_view text, TextStart start) const {
    const bool valid = validUtf8Prefix(text) == text.size();
    const RepairedText repaired = valid ? RepairedText{} : repairUtf8(text);
    const auto symbols = impl_->encode(valid ? text : repaired.text, true, start);
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
    return impl_->known(id) ? impl_->texts[id] : std::string_view();
}
bool Tokenizer::isSpecial(std::int32_t id) const {
    return impl_->known(id) && impl_->special(static_cast<std::size_t>(id));
}
std::optional<std::int32_t> Tokenizer::special(std::string_view name) const {
    return impl_->written->named(name);
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
bool Tokenizer::putsSpace() const {
    return impl_->spm && impl_->addsSpace;
}
bool Tokenizer::endsTurn(std::int32_t id) const {
    return impl_->known(id) && impl_->turnEnds[static_cast<std::size_t>(id)];
}
std::size_t Tokenizer::vocabularySize() const {
    return impl_->texts.size();
}

}  // namespace carrel
