// make_tiny_model FILE [ARCHITECTURE [TYPE [SEED]]]: writes a small GGUF with random weights, for tests.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "models/tiny_model.h"

int main(int argc, char** argv) {
    carrel::TinyModelSpec spec;
    if (argc > 2) spec.architecture = argv[2];
    bool known = argc <= 3;
    for (std::uint32_t type = 0; argc > 3 && type < 64; ++type) {
        const auto info = carrel::dtypeInfo(type);
        if (!info || info->name != argv[3]) continue;
        spec.type = static_cast<carrel::DType>(type);
        known = true;
    }
    if (argc > 4) spec.seed = std::strtoull(argv[4], nullptr, 10);
    if (argc < 2 || argc > 5 || !known || (spec.architecture != "llama" && spec.architecture != "qwen2")) {
        std::fputs(
            "usage: make_tiny_model FILE [llama|qwen2 [F32|F16|BF16|Q8_0|Q4_0|Q4_1|Q5_0|Q5_1|Q4_K|Q5_K|Q6_K [SEED]]]\n",
            stderr);
        return 2;
    }
    const auto written = carrel::writeTinyModel(argv[1], spec);
    if (written) return 0;
    std::fprintf(stderr, "%s: %s\n", written.error().where.c_str(), written.error().detail.c_str());
    return 1;
}
