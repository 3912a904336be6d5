#include "store/batch_stack.h"

#include <algorithm>

namespace carrel {

void BatchStack::cut(std::uint32_t from) {
    if (from >= tokens()) return;
    while (!rows_.empty() && rows_.back().first >= from) rows_.pop_back();
    if (!rows_.empty()) rows_.back().tokens = std::min(rows_.back().tokens, from - rows_.back().first);
    ids_.resize(from - firstToken_);
    chain_.resize(ids_.size() / kGroupTokens + 1);
}

void BatchStack::put(const BatchRow& row, std::span<const std::int32_t> ids) {
    cut(row.first);
    rows_.push_back(row);
    ids_.insert(ids_.end(), ids.begin(), ids.begin() + row.tokens);
    while (chain_.size() <= ids_.size() / kGroupTokens)
        chain_.push_back(
            extendChain(chain_.back(), std::span(ids_).subspan((chain_.size() - 1) * kGroupTokens, kGroupTokens)));
}

}  // namespace carrel
