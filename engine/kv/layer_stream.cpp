#include "kv/layer_stream.h"

namespace carrel {

namespace {

class LayerReader final : public GroupReader {
  public:
    LayerReader(std::unique_ptr<GroupReader> of, const std::vector<std::uint32_t>& layers)
        : of_(std::move(of)), layers_(layers) {}
    void submit(std::uint64_t tag, std::uint32_t layer, std::uint32_t head, std::uint32_t group, std::uint32_t count,
                std::span<std::byte> into) override {
        of_->submit(tag, layers_[layer], head, group, count, into);
    }
    std::vector<Done> reap(std::size_t atLeast) override { return of_->reap(atLeast); }
    Counters counters() const override { return of_->counters(); }
    std::uint64_t memoryBytes() const override { return of_->memoryBytes(); }

  private:
    std::unique_ptr<GroupReader> of_;
    const std::vector<std::uint32_t>& layers_;
};

}  // namespace

Result<std::uint32_t> LayerStream::load(const KvAllocate& allocate) {
    return of_.load([&](std::uint32_t first, std::uint32_t tokens) {
        auto memory = allocate(first, tokens);
        if (memory) memory->layers = layers_;
        return memory;
    });
}

Result<std::unique_ptr<GroupReader>> LayerStream::reader(ReaderOptions options) {
    auto reader = of_.reader(options);
    if (!reader) return reader;
    return std::unique_ptr<GroupReader>(std::make_unique<LayerReader>(std::move(*reader), layers_));
}

}  // namespace carrel
