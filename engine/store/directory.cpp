#include "store/directory.h"

#include <algorithm>

namespace carrel {

void GroupDirectory::put(const BatchRow& row, const std::filesystem::path& path, bool newFile,
                         std::vector<GroupPlace> places) {
    cut(row.first);
    const std::lock_guard guard(mutex_);
    if (newFile || !files_.contains(row.segment)) files_[row.segment] = ++lastFile_;
    const std::uint32_t groups = codec_ == KvCodec::F16 ? groupsOf(row.tokens) : row.tokens / kGroupTokens;
    batches_.push_back({std::make_shared<Batch>(Batch{row.first / kGroupTokens, groupsOf(row.storedTokens),
                                                      files_[row.segment], path, row.offset, std::move(places)}),
                        groups});
}

void GroupDirectory::cut(std::uint32_t from) {
    const std::lock_guard guard(mutex_);
    const std::uint32_t group = from / kGroupTokens;
    while (!batches_.empty() && batches_.back().batch->first >= group) batches_.pop_back();
    if (batches_.empty()) return;
    auto& last = batches_.back();
    last.groups = std::min(last.groups, group - last.batch->first);
}

std::vector<GroupDirectory::Run> GroupDirectory::find(std::uint32_t layer, std::uint32_t head, std::uint32_t group,
                                                      std::uint32_t count) const {
    std::vector<Run> runs;
    if (layer >= shape_.layers || head >= shape_.kvHeads) return runs;
    const std::lock_guard guard(mutex_);
    auto at = std::upper_bound(batches_.begin(), batches_.end(), group,
                               [](std::uint32_t value, const Visible& v) { return value < v.batch->first; });
    if (at == batches_.begin()) return runs;
    for (--at; count > 0; ++at) {
        if (at == batches_.end() || group < at->batch->first || group - at->batch->first >= at->groups) return {};
        const std::uint32_t within = group - at->batch->first, here = std::min(count, at->groups - within);
        const std::size_t row = std::size_t{layer} * shape_.kvHeads + head;
        runs.push_back({at->batch, std::span(at->batch->places).subspan(row * at->batch->stored + within, here)});
        group += here;
        count -= here;
    }
    return runs;
}

bool GroupDirectory::uses(std::uint32_t file) const {
    const std::lock_guard guard(mutex_);
    return std::any_of(batches_.begin(), batches_.end(), [&](const Visible& v) { return v.batch->file == file; });
}

std::uint64_t GroupDirectory::memoryBytes() const {
    const std::lock_guard guard(mutex_);
    std::uint64_t bytes = batches_.capacity() * sizeof(Visible);
    for (const auto& v : batches_) bytes += sizeof(Batch) + v.batch->places.capacity() * sizeof(GroupPlace);
    return bytes;
}

}  // namespace carrel
