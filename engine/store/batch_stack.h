#pragma once

#include "store/index.h"
#include "store/segment.h"

namespace carrel {

/// The visible batches of one stream, with their ids. A stack, in the order of tokens and of bytes alike: a batch that
/// starts earlier ends what lies at and after its first token.
class BatchStack {
  public:
    BatchStack(std::uint32_t firstToken, std::uint64_t prefixChain) : firstToken_(firstToken), chain_{prefixChain} {}

    std::uint32_t tokens() const { return firstToken_ + static_cast<std::uint32_t>(ids_.size()); }
    const std::vector<std::int32_t>& ids() const { return ids_; }
    const std::vector<BatchRow>& rows() const { return rows_; }
    /// Chain over the ids before `token`, a multiple of 64 between the first token and tokens().
    std::uint64_t chainBefore(std::uint32_t token) const { return chain_[(token - firstToken_) / kGroupTokens]; }
    /// Whether a batch may start here: a multiple of 64 up to tokens().
    bool continuesAt(std::uint32_t token) const {
        return token % kGroupTokens == 0 && token >= firstToken_ && token <= tokens() / kGroupTokens * kGroupTokens;
    }

    /// Drops what lies at and after `from`, a multiple of 64.
    void cut(std::uint32_t from);
    /// Cuts at row.first and puts the batch there. ids: at least row.tokens.
    void put(const BatchRow& row, std::span<const std::int32_t> ids);

  private:
    std::uint32_t firstToken_;
    std::vector<std::int32_t> ids_;
    std::vector<std::uint64_t> chain_;  // [k]: before group k
    std::vector<BatchRow> rows_;
};

}  // namespace carrel
