// make_tiny_model FILE [ARCHITECTURE [TYPE [SEED]]] [NAME=NUMBER ...]: writes a GGUF with random weights, for tests and
// measurements.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "models/tiny_model.h"

namespace {

/// One NAME=NUMBER; false: no such name.
bool set(carrel::TinyModelSpec& spec, std::string_view name, double number) {
    const std::pair<std::string_view, std::uint32_t*> counts[] = {
        {"layers", &spec.layers}, {"heads", &spec.heads}, {"kv_heads", &spec.kvHeads}, {"head_dim", &spec.headDim},
        {"hidden", &spec.hidden}, {"ffn", &spec.ffn},     {"context", &spec.context},  {"window", &spec.slidingWindow}};
    const std::pair<std::string_view, float*> reals[] = {
        {"query_bias", &spec.queryBias}, {"rope_base", &spec.ropeBase}, {"head_norm", &spec.headNorm}};
    const std::pair<std::string_view, bool*> choices[] = {{"sentence_piece", &spec.sentencePiece},
                                                          {"space_prefix", &spec.spacePrefix}};
    for (const auto& [known, to] : choices)
        if (known == name) return *to = number != 0, true;
    for (const auto& [known, to] : counts)
        if (known == name) return *to = static_cast<std::uint32_t>(number), true;
    for (const auto& [known, to] : reals)
        if (known == name) return *to = static_cast<float>(number), true;
    return false;
}

bool parse(const std::vector<std::string_view>& words, carrel::TinyModelSpec& spec) {
    std::size_t place = 0;
    for (const std::string_view word : words) {
        if (const auto equals = word.find('='); equals != std::string_view::npos) {
            if (!set(spec, word.substr(0, equals), std::strtod(word.data() + equals + 1, nullptr))) return false;
            continue;
        }
        bool known = place < 3;
        if (place == 0) {
            spec.architecture = word;
            known = word == "llama" || word == "qwen2" || word == "qwen3" || word == "gemma3";
        } else if (place == 1) {
            known = false;
            for (std::uint32_t type = 0; type < 64; ++type) {
                const auto info = carrel::dtypeInfo(type);
                if (!info || info->name != word) continue;
                spec.type = static_cast<carrel::DType>(type);
                known = true;
            }
        } else {
            spec.seed = std::strtoull(word.data(), nullptr, 10);
        }
        if (!known) return false;
        ++place;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    carrel::TinyModelSpec spec;
    if (argc < 2 || !parse({argv + 2, argv + argc}, spec)) {
        std::fputs(
            "usage: make_tiny_model FILE [llama|qwen2|qwen3|gemma3 [TYPE [SEED]]] [layers=N] [heads=N] [kv_heads=N]\n"
            "       [head_dim=N] [hidden=N] [ffn=N] [context=N] [query_bias=X] [rope_base=X] [head_norm=X] [window=N]\n"
            "       [sentence_piece=0|1] [space_prefix=0|1]\n"
            "TYPE: F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS\n",
            stderr);
        return 2;
    }
    const auto written = carrel::writeTinyModel(argv[1], spec);
    if (written) return 0;
    std::fprintf(stderr, "%s: %s\n", written.error().where.c_str(), written.error().detail.c_str());
    return 1;
}
