#pragma once

#include <vector>

#include "store/reading_store.h"

namespace carrel {

/// Some layers of a stream, ascending, counted from 0 among themselves. For reading: a commit is of all layers.
class LayerStream final : public KvStream {
  public:
    LayerStream(KvStream& of, std::vector<std::uint32_t> layers) : of_(of), layers_(std::move(layers)) {}

    const std::vector<std::uint32_t>& layers() const { return layers_; }
    std::uint32_t tokens() const override { return of_.tokens(); }
    const std::vector<std::int32_t>& ids() const override { return of_.ids(); }
    std::uint32_t firstToken() const override { return of_.firstToken(); }
    DiskBytes diskBytes() const override { return of_.diskBytes(); }
    Status commit(const KvBatch& batch) override { return of_.commit(batch); }
    Status truncate(std::uint32_t tokens) override { return of_.truncate(tokens); }
    Result<std::uint32_t> load(const KvAllocate& allocate) override;
    Result<std::unique_ptr<GroupReader>> reader(ReaderOptions options) override;
    Result<Check> verify() override { return of_.verify(); }
    Status keepNote(std::span<const std::byte> bytes) override { return of_.keepNote(bytes); }
    Result<std::vector<std::byte>> note() override { return of_.note(); }

  private:
    KvStream& of_;
    std::vector<std::uint32_t> layers_;
};

}  // namespace carrel
