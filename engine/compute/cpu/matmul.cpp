#include <algorithm>
#include <cmath>

#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

// Every variant adds up the 32 columns of a block in integers, exactly, and the blocks in ascending order into one
// float per output. So an output's bits depend on its row of x and its row of weights alone, whichever kernel ran and
// however many rows went with it.

namespace carrel {

namespace {

void quantizeScalar(const float* x, std::size_t stride, std::size_t rows, std::size_t cols, const QuantizedRows& out) {
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t b = 0; b < cols / 32; ++b) {
            const float* from = x + r * stride + b * 32;
            float most = 0;
            for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(from[i]));
            const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
            std::int32_t sum[2] = {0, 0};
            for (std::size_t i = 0; i < 32; ++i) {
                const long q = std::lrintf(from[i] * inverse);
                out.q[((b * 8 + i / 4) * rows + r) * 4 + i % 4] = static_cast<std::int8_t>(q);
                sum[i / 16] += static_cast<std::int32_t>(q);
            }
            out.scale[b * rows + r] = scale;
            out.sum[2 * b * rows + r] = sum[0];
            out.sum[(2 * b + 1) * rows + r] = sum[1];
            out.mean[b * rows + r] = scale * static_cast<float>(sum[0] + sum[1]);
        }
}

void unpackScalar(const PackedLayout& layout, const std::byte* tile, const Panel& out) {
    for (std::size_t b = 0; b < layout.blocks(); ++b)
        for (std::size_t r = 0; r < kTileRows; ++r) {
            for (std::size_t s = 0; s < 8; ++s) quantsOf(layout, tile, b, s, r, out.q + (b * 8 + s) * 64 + r * 4);
            const Factors f = factorsOf(layout, tile, b, r);
            out.scale[b * 32 + r] = f.scale[0];
            out.scale[b * 32 + 16 + r] = layout.kind == PackKind::Minimum ? f.min : f.scale[1];
        }
}

void panelScalar(const PackedLayout& layout, const Panel& panel, const QuantizedRows& x, std::size_t rows, float* out) {
    std::fill_n(out, rows * kTileRows, 0.0f);
    for (std::size_t b = 0; b < layout.blocks(); ++b)
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t lane = 0; lane < kTileRows; ++lane) {
                std::int32_t dot[2];
                for (std::size_t half = 0; half < 2; ++half) {
                    dot[half] = -layout.offset * x.sum[(2 * b + half) * rows + r];
                    for (std::size_t s = 4 * half; s < 4 * half + 4; ++s)
                        for (std::size_t i = 0; i < 4; ++i)
                            dot[half] +=
                                panel.q[(b * 8 + s) * 64 + lane * 4 + i] * x.q[((b * 8 + s) * rows + r) * 4 + i];
                }
                const float first = panel.scale[b * 32 + lane], second = panel.scale[b * 32 + 16 + lane];
                const float scale = x.scale[b * rows + r];
                float& sum = out[r * kTileRows + lane];
                if (layout.kind == PackKind::Halves) {
                    sum = madd<false>(static_cast<float>(dot[0]), first * scale, sum);
                    sum = madd<false>(static_cast<float>(dot[1]), second * scale, sum);
                } else {
                    sum = madd<false>(static_cast<float>(dot[0] + dot[1]), first * scale, sum);
                    if (layout.kind == PackKind::Minimum) sum = madd<false>(second, x.mean[b * rows + r], sum);
                }
            }
}

}  // namespace

const Variants<QuantizeFn> kQuantize{{Isa::Scalar, quantizeScalar}};
const Variants<UnpackFn> kUnpack{{Isa::Scalar, unpackScalar}};
const Variants<PanelFn> kPanel{{Isa::Scalar, panelScalar}};
const Variants<TileFn> kTile{{Isa::Scalar, nullptr}};

}  // namespace carrel
