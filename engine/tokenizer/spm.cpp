#include "tokenizer/spm.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace carrel {

namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// Bytes of the character that starts with `lead`, in valid UTF-8.
std::size_t charBytes(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

/// Larger scores become smaller numbers; both zeros the same.
std::uint32_t rankOf(float score) {
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);
    return bits >> 31 ? bits : ~(bits | 0x80000000U);
}

}  // namespace

SpmPieces::SpmPieces(const TokenTexts& texts, std::size_t count)
    : texts_(&texts), index_(texts, count), ranks_(texts.size()) {
    byteIds_.fill(-1);
}

void SpmPieces::add(std::int32_t id, float score) {
    index_.add(id);
    ranks_[static_cast<std::size_t>(id)] = rankOf(score);
    const std::string_view text = (*texts_)[id];
    for (std::size_t i = 1; i < text.size(); ++i)
        if ((text[i] & 0xc0) != 0x80) joins_.set(pairOf(text[i - 1], text[i]));
}

void SpmEncoder::append(std::string_view character, std::uint32_t source) {
    const auto index = static_cast<std::uint32_t>(symbols_.size());
    symbols_.push_back({static_cast<std::uint32_t>(word_.size()), static_cast<std::uint32_t>(character.size()), source,
                        index == 0 ? kNone : index - 1, kNone, -1});
    if (index > 0) symbols_[index - 1].next = index;
    word_ += character;
}

void SpmEncoder::offer(std::uint32_t left, std::uint32_t right) {
    if (left == kNone || right == kNone) return;
    const std::uint32_t bytes = symbols_[left].bytes + symbols_[right].bytes;
    const std::int32_t id = pieces_.find(std::string_view(word_).substr(symbols_[left].first, bytes));
    if (id < 0) return;
    heap_.push_back({std::uint64_t{pieces_.rank(id)} << 32 | left, id, bytes});
    std::push_heap(heap_.begin(), heap_.end());
}

void SpmEncoder::emit(const Symbol& symbol, std::vector<BpeSymbol>& out) const {
    const std::string_view text = textOf(symbol);
    const std::int32_t id = symbol.id >= 0 ? symbol.id : pieces_.find(text);
    if (id >= 0) return out.push_back({id, symbol.source});
    const std::string_view bytes = text == " " ? kSpmSpace : text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const bool last = i + 1 == bytes.size();  // of a space's three bytes it has the text's one
        out.push_back({pieces_.byteId(bytes[i]), symbol.source == bytes.size() ? 1 : last ? symbol.source : 0});
    }
}

void SpmEncoder::endWord(std::vector<BpeSymbol>& out) {
    if (symbols_.empty()) return;
    heap_.clear();
    for (std::uint32_t i = 1; i < symbols_.size(); ++i) offer(i - 1, i);
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end());
        const Candidate best = heap_.back();
        heap_.pop_back();
        const auto at = static_cast<std::uint32_t>(best.order);
        Symbol& left = symbols_[at];
        if (left.bytes == 0 || left.next == kNone || left.bytes + symbols_[left.next].bytes != best.bytes) continue;
        Symbol& right = symbols_[left.next];
        left.bytes = best.bytes;
        left.source += right.source;
        left.id = best.merged;
        left.next = right.next;
        right.bytes = 0;
        if (left.next != kNone) symbols_[left.next].previous = at;
        offer(left.previous, at);
        offer(at, left.next);
    }
    for (std::uint32_t i = 0; i != kNone; i = symbols_[i].next) emit(symbols_[i], out);
    symbols_.clear();
    word_.clear();
}

void SpmEncoder::encode(std::string_view text, bool prefix, std::vector<BpeSymbol>& out) {
    if (text.empty()) return;
    if (prefix) append(" ", 0);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = charBytes(text[at]);
        std::string_view character = text.substr(at, bytes);
        if (character == kSpmSpace) character = " ";
        // Where no piece reaches across, what stands on one side merges as if the other were not there: words stay
        // short.
        if (!word_.empty() && !pieces_.joins(word_.back(), character[0])) endWord(out);
        append(character, static_cast<std::uint32_t>(bytes));
        at += bytes;
    }
    endWord(out);
}

}  // namespace carrel
