#include "compute/cpu/matmul_plan.h"

#include <algorithm>

#include "compute/cpu/workers.h"

namespace carrel {

namespace {

// Rows of x that a worker keeps in its second-level cache while weights pass by.
constexpr std::size_t kRowBlockBytes = 512 << 10;
// Below this many rows unpacking a tile into memory costs more than it saves.
constexpr std::size_t kPanelRows = 5;

const PackedLayout& layoutOf(const MatmulTarget& target) {
    return static_cast<const PackedWeight*>(target.weight)->layout();
}

void store(const MatmulTarget& target, const float* products, std::size_t tile, std::size_t firstRow,
           std::size_t rows) {
    const std::size_t first = tile * kTileRows, count = std::min(kTileRows, target.weight->rows - first);
    for (std::size_t r = 0; r < rows; ++r) {
        float* out = target.out.row(firstRow + r) + first;
        float values[kTileRows];
        std::copy_n(products + r * kTileRows, kTileRows, values);
        if (target.bias != nullptr)
            for (std::size_t i = 0; i < count; ++i) values[i] += target.bias[first + i];
        if (target.accumulate)
            for (std::size_t i = 0; i < count; ++i) values[i] = out[i] + values[i];
        if (count == kTileRows)
            std::copy_n(values, kTileRows, out);
        else
            std::copy_n(values, count, out);
    }
}

}  // namespace

QuantizedRows Matmul::group(std::size_t firstRow, std::size_t cols) const {
    return {all_.q + firstRow * cols, all_.scale + firstRow * (cols / 32), all_.less + firstRow * (cols / 32) * 3,
            all_.mean + firstRow * (cols / 32)};
}

void Matmul::quantize(View<const float, 2> x) {
    const std::size_t n = x.size(0), cols = x.size(1);
    const auto lay = [&](Carver carver) {
        all_ = {carver.take<std::int8_t>(n * cols), carver.take<float>(n * (cols / 32)),
                carver.take<std::int32_t>(n * (cols / 32) * 3), carver.take<float>(n * (cols / 32))};
        return carver.used();
    };
    lay(Carver(quantized_.need(lay(Carver()))));
    const auto quantizeRows = kQuantize.at(isa_);
    forEachWithSlot(pool_, (n + kRowGroup - 1) / kRowGroup, [&](std::size_t, std::size_t i) {
        const std::size_t row = i * kRowGroup;
        quantizeRows(x.row(row), x.stride(), std::min(kRowGroup, n - row), cols, group(row, cols));
    });
}

void Matmul::tiles(View<const float, 2> x, const MatmulTarget& target, std::size_t tile, std::size_t firstRow,
                   std::size_t endRow, std::size_t slot) {
    const PackedLayout& layout = layoutOf(target);
    const std::byte* packed = static_cast<const PackedWeight*>(target.weight)->tile(tile);
    alignas(64) float products[kRowGroup * kTileRows];
    const bool isFloat = layout.kind == PackKind::Float;
    const auto floatTile = kFloatTile.at(isa_);
    const auto tileKernel = x.size(0) < kPanelRows ? kTile.at(isa_) : nullptr;
    const auto panelKernel = kPanel.at(isa_);
    Panel panel{};
    if (!isFloat && tileKernel == nullptr) {
        panel.q = reinterpret_cast<std::uint8_t*>(panels_.need(0)) + slot * panelBytes_;
        panel.scale = reinterpret_cast<float*>(panel.q + layout.blocks() * 512);
        kUnpack.at(isa_)(layout, packed, panel);
    }
    for (std::size_t row = firstRow; row < endRow; row += kRowGroup) {
        const std::size_t rows = std::min(kRowGroup, endRow - row);
        if (isFloat)
            floatTile(layout, packed, x.row(row), x.stride(), rows, products);
        else if (tileKernel != nullptr)
            tileKernel(layout, packed, group(row, layout.cols), rows, products);
        else
            panelKernel(layout, panel, group(row, layout.cols), rows, products);
        store(target, products, tile, row, rows);
    }
}

void Matmul::run(View<const float, 2> x, std::span<const MatmulTarget> targets) {
    const std::size_t n = x.size(0), cols = x.size(1);
    if (n == 0) return;
    std::size_t tilesOfAll = 0;
    bool quantized = false;
    for (const MatmulTarget& target : targets) {
        assert(target.weight->cols == cols && target.out.size(0) == n && target.out.size(1) == target.weight->rows);
        tilesOfAll += layoutOf(target).tiles();
        quantized |= layoutOf(target).kind != PackKind::Float;
    }
    if (quantized) quantize(x);
    panelBytes_ = cols / 32 * (512 + panelFactors(PackKind::HalfMinima) * 64);
    panels_.need(panelBytes_ * pool_.size());

    const std::size_t rowBlock = std::max(kRowGroup, kRowBlockBytes / cols / kRowGroup * kRowGroup);
    const std::size_t rowBlocks = (n + rowBlock - 1) / rowBlock;
    // Several tiles an item, but enough items that the threads end together.
    const std::size_t perItem = std::clamp<std::size_t>(tilesOfAll * rowBlocks / (pool_.size() * 8), 1, 16);
    const std::size_t itemsOfBlock = (tilesOfAll + perItem - 1) / perItem;
    forEachWithSlot(pool_, itemsOfBlock * rowBlocks, [&](std::size_t slot, std::size_t item) {
        const std::size_t firstRow = item / itemsOfBlock * rowBlock, endRow = std::min(n, firstRow + rowBlock);
        std::size_t tile = item % itemsOfBlock * perItem;
        const std::size_t end = std::min(tilesOfAll, tile + perItem);
        std::size_t base = 0;
        for (const MatmulTarget& target : targets) {
            const std::size_t here = layoutOf(target).tiles();
            for (; tile < std::min(end, base + here); ++tile) tiles(x, target, tile - base, firstRow, endRow, slot);
            base += here;
        }
    });
}

}  // namespace carrel
