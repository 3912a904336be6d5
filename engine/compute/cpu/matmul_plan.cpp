#include "compute/cpu/matmul_plan.h"

#include <algorithm>

#include "compute/cpu/workers.h"

namespace carrel {

namespace {

// Below this many rows a tile is unpacked a little at a time, for every eight of them again; from here on, once.
constexpr std::size_t kPanelRows = 65;

const PackedLayout& layoutOf(const MatmulTarget& target) {
    return static_cast<const PackedWeight*>(target.weight)->layout();
}

// `end`: of the tiles that are wanted; a tile from there on goes nowhere.
Products productsOf(const MatmulTarget& target, std::size_t tile, std::size_t end, std::size_t row) {
    const std::size_t first = tile * kTileRows;
    return {target.out.row(row) + first, target.out.stride(),
            tile < end ? std::min(kTileRows, target.weight->rows - first) : 0,
            target.bias != nullptr ? target.bias + first : nullptr, target.accumulate};
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

void Matmul::oneTile(View<const float, 2> x, const MatmulTarget& target, std::size_t tile) const {
    const PackedLayout& layout = layoutOf(target);
    const std::byte* packed = static_cast<const PackedWeight*>(target.weight)->tile(tile);
    for (std::size_t row = 0; row < x.size(0); row += kRowGroup) {
        const std::size_t rows = std::min(kRowGroup, x.size(0) - row);
        alignas(64) float products[kRowGroup * kTileRows];
        if (layout.kind == PackKind::Float)
            kFloatTile.at(isa_)(layout, packed, x.row(row), x.stride(), rows, products);
        else
            kTile.at(isa_)(layout, packed, group(row, layout.cols), rows, products);
        const Products to = productsOf(target, tile, tile + 1, row);
        for (std::size_t r = 0; r < rows; ++r) storeProducts(products + r * kTileRows, to, r);
    }
}

void Matmul::panel(const MatmulTarget& target, std::size_t tile, std::size_t end, std::size_t rows,
                   std::size_t slot) const {
    const PackedLayout& layout = layoutOf(target);
    const auto& weight = *static_cast<const PackedWeight*>(target.weight);
    auto* const q = reinterpret_cast<std::uint8_t*>(panels_ + slot * panelBytes_);
    const Panel panel{q, reinterpret_cast<float*>(q + kPanelTiles * layout.blocks() * 512)};
    for (std::size_t t = 0; t < kPanelTiles; ++t)
        kUnpack.at(isa_)(layout, weight.tile(std::min(tile + t, end - 1)), 0, layout.blocks(), panel.tile(layout, t));
    const auto kernel = kPanel.at(isa_);
    // Weights come from memory: those of this worker's next item are asked for while this one's are multiplied.
    const std::size_t next = tile + kPanelTiles * pool_.size();
    const std::byte* ahead = next + kPanelTiles <= layout.tiles() ? weight.tile(next) : nullptr;
    const std::size_t share = kPanelTiles * layout.tileBytes * kRowGroup / rows;
    for (std::size_t row = 0; row < rows; row += kRowGroup) {
        if (ahead != nullptr) fetch(ahead + row / kRowGroup * share, share);
        Products to[kPanelTiles];
        for (std::size_t t = 0; t < kPanelTiles; ++t) to[t] = productsOf(target, tile + t, end, row);
        kernel(layout, panel, group(row, layout.cols), std::min(kRowGroup, rows - row), to);
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
    panelBytes_ = kPanelTiles * cols / 32 * (512 + panelFactors(PackKind::HalfMinima) * 64);
    panels_ = panelMemory_.need(panelBytes_ * pool_.size());

    // Several tiles an item where rows are few, but enough items that the threads end together.
    const bool few = n < kPanelRows;
    const std::size_t perItem = few ? std::clamp<std::size_t>(tilesOfAll / (pool_.size() * 8), 1, 16) : kPanelTiles;
    forEachWithSlot(pool_, (tilesOfAll + perItem - 1) / perItem, [&](std::size_t slot, std::size_t item) {
        std::size_t tile = item * perItem, base = 0;
        const std::size_t end = std::min(tilesOfAll, tile + perItem);
        for (const MatmulTarget& target : targets) {
            const PackedLayout& layout = layoutOf(target);
            const std::size_t here = std::min(end, base + layout.tiles());
            if (tile < here && !few && layout.kind != PackKind::Float) {
                panel(target, tile - base, here - base, n, slot);
                tile = here;
            }
            for (; tile < here; ++tile) oneTile(x, target, tile - base);
            base += layout.tiles();
        }
    });
}

}  // namespace carrel
