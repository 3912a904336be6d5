#include "tokenizer/token_texts.h"

#include <bit>
#include <span>

#include "base/hash.h"

namespace carrel {

namespace {

std::uint32_t hashOf(std::string_view text) {
    return static_cast<std::uint32_t>(xxh3(std::as_bytes(std::span(text))));
}

}  // namespace

TextIndex::TextIndex(const TokenTexts& texts, std::size_t count)
    : texts_(&texts), slots_(std::bit_ceil(count * 4 / 3 + 2), Slot{0, -1}) {}

std::size_t TextIndex::slotOf(std::string_view text, std::uint32_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].id >= 0 && (slots_[at].hash != hash || (*texts_)[slots_[at].id] != text)) at = (at + 1) & mask;
    return at;
}

void TextIndex::add(std::int32_t id) {
    const std::string_view text = (*texts_)[id];
    const std::uint32_t hash = hashOf(text);
    slots_[slotOf(text, hash)] = {hash, id};
}

std::int32_t TextIndex::find(std::string_view text) const {
    return slots_[slotOf(text, hashOf(text))].id;
}

}  // namespace carrel
