#include <limits>

#include "base/bytes.h"
#include "base/file.h"
#include "engine/transformer/tiny_fixture.h"

namespace carrel {

namespace {

using Bytes = std::vector<std::byte>;

/// Where `words` first lies in the file; a test that cannot find it is wrong.
std::size_t find(const Bytes& file, std::string_view words, std::size_t from = 0) {
    const auto raw = std::as_bytes(std::span(words));
    const auto at = std::search(file.begin() + static_cast<std::ptrdiff_t>(from), file.end(), raw.begin(), raw.end());
    REQUIRE(at != file.end());
    return static_cast<std::size_t>(at - file.begin());
}

template <class T>
void put(Bytes& file, std::size_t at, const T& value) {
    REQUIRE(at + sizeof(T) <= file.size());
    std::memcpy(file.data() + at, &value, sizeof(T));
}

/// The value behind a metadata key of a fixed size.
template <class T>
Bytes with(Bytes file, std::string_view key, T value) {
    put(file, find(file, key) + key.size() + 4, value);
    return file;
}

/// Other words of the same length; from 1: the n-th place where they stand.
Bytes renamed(Bytes file, std::string_view from, std::string_view to, int place = 1) {
    REQUIRE(from.size() == to.size());
    std::size_t at = find(file, from);
    for (int i = 1; i < place; ++i) at = find(file, from, at + 1);
    std::memcpy(file.data() + at, to.data(), to.size());
    return file;
}

/// One metadata pair more: its key, its type of GGUF and its value's bytes.
Bytes withPair(Bytes file, std::string_view key, std::uint32_t type, std::string_view value) {
    ByteWriter out;
    const auto pair = [&](std::string_view k, std::uint32_t t, std::string_view v) {
        out.write(std::uint64_t{k.size()});
        out.write(std::as_bytes(std::span(k)));
        out.write(t);
        out.write(std::as_bytes(std::span(v)));
    };
    pair(key, type, value);
    // Tensor data lies at multiples of 32: a second pair fills up to the next.
    const std::string pad = std::string(key) + ".pad";
    const std::uint64_t fill = 32 - (out.bytes().size() + 8 + pad.size() + 4 + 8) % 32;
    pair(pad, 8, std::string(reinterpret_cast<const char*>(&fill), 8) + std::string(fill, ' '));
    std::uint64_t count = 0;
    std::memcpy(&count, file.data() + 16, 8);
    put(file, 16, count + 2);
    file.insert(file.begin() + 24, out.bytes().begin(), out.bytes().end());
    return file;
}
Bytes withString(Bytes file, std::string_view key, std::string_view value) {
    const std::uint64_t length = value.size();
    return withPair(std::move(file), key, 8,
                    std::string(reinterpret_cast<const char*>(&length), 8) + std::string(value));
}
template <class T>
Bytes withNumber(Bytes file, std::string_view key, T value) {
    return withPair(std::move(file), key, std::is_same_v<T, float> ? 6 : 4,
                    std::string(reinterpret_cast<const char*>(&value), sizeof value));
}

/// The shape of a tensor of the directory.
Bytes withShape(Bytes file, std::string_view tensor, std::uint64_t columns, std::uint64_t rows) {
    const std::uint64_t length = tensor.size();  // before the name: the end of a longer name is another tensor
    const std::string entry = std::string(reinterpret_cast<const char*>(&length), 8) + std::string(tensor);
    const std::size_t at = find(file, entry) + entry.size() + 4;
    put(file, at, columns);
    put(file, at + 8, rows);
    return file;
}

/// What reading the model comes to.
Result<ModelConfig> load(const Bytes& bytes) {
    const TemporaryFolder folder;
    REQUIRE(writeFileAtomically(folder.path() / "model.gguf", bytes));
    const auto file = GgufFile::open(folder.path() / "model.gguf");
    if (!file) FAIL(file.error().detail);
    auto config = readConfig(*file);
    if (!config) return config.error();
    const auto backend = backendUnderTest(1);
    const auto model = Model::load(*file, *config, *backend);
    if (!model) return model.error();
    return config;
}

void checkRefused(const Bytes& bytes, Code code, std::string_view named) {
    CAPTURE(named);
    const auto loaded = load(bytes);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == code);
    CAPTURE(loaded.error().detail);
    CHECK(loaded.error().detail.find(named) != std::string::npos);
}

const Bytes kLlama = tinyModel({}), kQwen = tinyModel({.architecture = "qwen2"}),
            kQwen3 = tinyModel({.architecture = "qwen3", .headDim = 128, .hidden = 256});

Bytes gemma(std::uint32_t layers = 7) {
    return tinyModel({.architecture = "gemma3", .layers = layers, .headDim = 64, .ffn = 64, .hidden = 96});
}

}  // namespace

TEST_CASE("The tiny models themselves are read, with the sizes they were made with") {
    const auto llama = load(kLlama), qwen = load(kQwen);
    REQUIRE(llama);
    REQUIRE(qwen);
    CHECK(llama->architecture == "llama");
    CHECK(llama->rope == RopeStyle::Interleaved);
    CHECK(qwen->rope == RopeStyle::Neox);
    for (const ModelConfig* config : {&*llama, &*qwen}) {
        CHECK(config->layers == 2);
        CHECK(config->hidden == 256);
        CHECK(config->ffn == 512);
        CHECK(config->heads == 4);
        CHECK(config->kvHeads == 2);
        CHECK(config->headDim == 64);
        CHECK(config->window == 2048);
        CHECK(config->kvBytesPerToken() == 2 * 2 * 2 * 64 * 2);
        REQUIRE(config->invFreq.size() == 32);
        CHECK(config->invFreq[0] == 1.0f);
        CHECK(config->invFreq[16] == doctest::Approx(0.01));
    }
}

TEST_CASE("What an architecture's name says of a model is in its configuration") {
    const auto llama = load(kLlama), qwen3 = load(kQwen3), gemma3 = load(gemma());
    REQUIRE(llama);
    REQUIRE(qwen3);
    REQUIRE(gemma3);
    for (const ModelConfig* config : {&*llama, &*qwen3}) {
        CHECK(config->local.which.empty());
        CHECK(config->embeddingScale == 1);
        CHECK_FALSE(config->postNorms);
        CHECK(config->gate == Gate::Silu);
    }
    CHECK_FALSE(llama->headNorms);
    CHECK(llama->ropeText == "interleaved,10000.000000,1.000000");  // readings that are stored go on
    CHECK(qwen3->headNorms);
    CHECK(qwen3->rope == RopeStyle::Neox);
    CHECK(qwen3->headDim == 128);
    CHECK(qwen3->attentionScale == 1 / std::sqrt(128.0f));

    CHECK(gemma3->headNorms);
    CHECK(gemma3->postNorms);
    CHECK(gemma3->gate == Gate::Gelu);
    CHECK(gemma3->embeddingScale == std::sqrt(96.0f));
    CHECK(gemma3->attentionScale == 1 / std::sqrt(64.0f));
    CHECK(gemma3->local.window == 100);
    CHECK(gemma3->local.which == std::vector<bool>{true, true, true, true, true, false, true});
    CHECK(gemma3->ropeText != load(with(gemma(), "gemma3.attention.sliding_window", 101u))->ropeText);
    // The largest says so by nothing but its number of layers.
    CHECK(load(gemma(62))->attentionScale == 1 / std::sqrt(96.0f / 4));
}

TEST_CASE("Base and scaling that the file names are of global layers, and a pattern that it names is its own") {
    const Bytes file = with(gemma(), "gemma3.rope.freq_base", 1e6f);
    const auto config =
        load(withNumber(withString(file, "gemma3.rope.scaling.type", "linear"), "gemma3.rope.scaling.factor", 8.0f));
    REQUIRE(config);
    for (const std::uint32_t j : {0u, 5u, 31u}) {
        CHECK(config->frequencies(5)[j] == doctest::Approx(std::pow(1e6, -2.0 * j / 64) / 8));
        CHECK(config->frequencies(6)[j] == doctest::Approx(std::pow(1e4, -2.0 * j / 64)));
    }
    CHECK(load(withNumber(gemma(), "gemma3.rope.freq_base_swa", 500.0f))->localInvFreq[16] ==
          doctest::Approx(std::pow(500.0, -0.5)));
    CHECK(load(withNumber(gemma(), "gemma3.attention.sliding_window_pattern", 3u))->local.which ==
          std::vector<bool>{true, true, false, true, true, false, true});
}

TEST_CASE("What changes the meaning of a model and is not computed here is refused by its key") {
    checkRefused(renamed(gemma(), "attention.sliding_window", "attention.sliding_widnow"), Code::Unsupported,
                 "sliding window");
    checkRefused(withNumber(gemma(), "gemma3.final_logit_softcapping", 30.0f), Code::Unsupported, "final_logit");
    checkRefused(withNumber(kLlama, "llama.attn_logit_softcapping", 50.0f), Code::Unsupported, "attn_logit");
    CHECK(load(withNumber(kLlama, "llama.attn_logit_softcapping", 0.0f)));
    // Up to its length a window is none; which layers have it, such files do not say.
    CHECK(load(withNumber(kLlama, "llama.attention.sliding_window", 1000u))->window == 1000);
    CHECK(load(withNumber(kLlama, "llama.attention.sliding_window", 5000u))->window == 2048);
}

TEST_CASE("An architecture that Carrel does not run is refused by its name") {
    checkRefused(renamed(kLlama, "llama", "mamba"), Code::Unsupported, "\"mamba\"");
    checkRefused(renamed(kQwen, "qwen2", "gptj1"), Code::Unsupported, "\"gptj1\"");
    checkRefused(renamed(kLlama, "general.architecture", "general.architectura"), Code::Corrupt, "architecture");
}

TEST_CASE("RoPE scaling is applied where it is linear and refused by its name where it is not") {
    for (const char* scaling : {"yarn", "longrope", "dynamic"})
        checkRefused(withString(kLlama, "llama.rope.scaling.type", scaling), Code::Unsupported, scaling);
    CHECK(load(withString(kLlama, "llama.rope.scaling.type", "none")));
    const auto linear =
        load(withNumber(withString(kLlama, "llama.rope.scaling.type", "linear"), "llama.rope.scaling.factor", 4.0f));
    const auto plain = load(kLlama);
    REQUIRE(linear);
    REQUIRE(plain);
    for (std::size_t i = 0; i < 32; ++i) CHECK(linear->invFreq[i] == plain->invFreq[i] / 4);
    CHECK(linear->ropeText != plain->ropeText);  // and never shares KV with the unscaled
    for (const float factor :
         {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        checkRefused(
            withNumber(withString(kLlama, "llama.rope.scaling.type", "linear"), "llama.rope.scaling.factor", factor),
            Code::Corrupt, "RoPE");
}

TEST_CASE("Sizes that no model has are refused by the name of their key") {
    for (const std::string key : {"block_count", "embedding_length", "feed_forward_length", "attention.head_count",
                                  "attention.head_count_kv", "context_length"})
        for (const std::uint32_t value : {0u, 0x7fffffffu, 0xffffffffu}) {
            CAPTURE(value);
            checkRefused(with(kLlama, "llama." + key, value), Code::Corrupt, "llama." + key);
        }
    checkRefused(with(kLlama, "llama.block_count", 1'000'000u), Code::Corrupt, "layers");
    checkRefused(with(kLlama, "llama.attention.head_count", 1'000'000u), Code::Corrupt, "heads");
    for (const std::string key : {"block_count", "embedding_length", "feed_forward_length", "context_length"})
        checkRefused(renamed(kLlama, "llama." + key, "llamb." + key), Code::Corrupt, "llama." + key);
    for (const float base :
         {0.0f, 1.0f, -5.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        checkRefused(with(kLlama, "llama.rope.freq_base", base), Code::Corrupt, "RoPE");
}

TEST_CASE("Heads that do not divide, and sizes of a head that kernels do not have, are refused with the numbers") {
    checkRefused(with(kLlama, "llama.attention.head_count_kv", 3u), Code::Unsupported, "3 KV heads");
    checkRefused(with(kLlama, "llama.attention.head_count_kv", 8u), Code::Unsupported, "8 KV heads");
    checkRefused(with(kLlama, "llama.attention.head_count", 3u), Code::Unsupported, "3 heads of size 85");
    checkRefused(with(kLlama, "llama.attention.head_count", 512u), Code::Unsupported, "512 heads of size 0");
    for (const std::uint32_t size : {4u, 60u, 264u, 512u})
        checkRefused(withNumber(kLlama, "llama.attention.key_length", size), Code::Unsupported,
                     "size " + std::to_string(size));
    checkRefused(withNumber(kLlama, "llama.attention.value_length", 32u), Code::Unsupported, "value or RoPE size");
    checkRefused(with(kLlama, "llama.rope.dimension_count", 32u), Code::Unsupported, "value or RoPE size");
    checkRefused(withNumber(kLlama, "llama.expert_count", 8u), Code::Unsupported, "experts");
}

TEST_CASE("A tensor that is missing is named") {
    for (const std::string name :
         {"output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight", "blk.1.attn_k.weight",
          "blk.1.attn_v.weight", "blk.0.attn_output.weight", "blk.1.ffn_norm.weight", "blk.0.ffn_gate.weight",
          "blk.0.ffn_up.weight", "blk.1.ffn_down.weight"}) {
        std::string other = name;
        other.back() = 'x';
        checkRefused(renamed(kLlama, name, other), Code::Corrupt, name);
    }
    for (const std::string name : {"blk.0.attn_q_norm.weight", "blk.1.attn_k_norm.weight",
                                   "blk.0.post_attention_norm.weight", "blk.5.post_ffw_norm.weight"}) {
        std::string other = name;
        other.back() = 'x';
        checkRefused(renamed(gemma(), name, other), Code::Corrupt, name);
    }
    checkRefused(renamed(kLlama, "token_embd.weight", "token_embd.weighx"), Code::Corrupt, "token_embd.weight");
    checkRefused(with(kLlama, "llama.block_count", 3u), Code::Corrupt, "blk.2.attn_norm.weight");
}

TEST_CASE("A tensor of another shape than the model's sizes say is named") {
    checkRefused(withShape(kLlama, "blk.0.attn_k.weight", 128, 256), Code::Corrupt, "blk.0.attn_k.weight");
    checkRefused(withShape(kLlama, "blk.1.ffn_gate.weight", 512, 256), Code::Corrupt, "blk.1.ffn_gate.weight");
    checkRefused(withShape(kLlama, "blk.0.ffn_down.weight", 256, 512), Code::Corrupt, "blk.0.ffn_down.weight");
    checkRefused(withShape(kLlama, "blk.0.attn_q.weight", 128, 512), Code::Corrupt, "blk.0.attn_q.weight");
    checkRefused(with(kLlama, "llama.feed_forward_length", 256u), Code::Corrupt, "ffn_gate.weight");
    checkRefused(with(kLlama, "llama.attention.head_count_kv", 4u), Code::Corrupt, "blk.0.attn_k.weight");
    checkRefused(with(kQwen, "qwen2.embedding_length", 128u), Code::Unsupported,
                 "RoPE size");  // head size follows from it
    checkRefused(with(with(kLlama, "llama.embedding_length", 128u), "llama.attention.head_count", 2u), Code::Corrupt,
                 "token_embd.weight");
    const auto embedding = find(kLlama, "token_embd.weight");
    Bytes flat = kLlama;
    std::uint64_t columns = 0, rows = 0;
    std::memcpy(&columns, flat.data() + embedding + 17 + 4, 8);
    std::memcpy(&rows, flat.data() + embedding + 17 + 12, 8);
    checkRefused(withShape(kLlama, "token_embd.weight", rows, columns), Code::Corrupt, "token_embd.weight");
    checkRefused(withShape(kLlama, "output.weight", rows, columns), Code::Corrupt, "output.weight");
}

TEST_CASE("A tensor that nothing computes with is refused by its name, and not left out in silence") {
    checkRefused(renamed(kQwen, "blk.0.attn_q.bias", "blk.0.attn_o.bias"), Code::Unsupported, "blk.0.attn_o.bias");
    Bytes norms = kQwen3;  // qwen2 has none
    for (int i = 0; i < 12; ++i) norms = renamed(norms, "qwen3", "qwen2");
    checkRefused(norms, Code::Unsupported, "blk.0.attn_q_norm.weight");
}

TEST_CASE("Biases are optional, and of the right size where they are there") {
    CHECK(load(kLlama));  // it has none
    // A norm's vector under a bias's name has another size.
    const Bytes swapped =
        renamed(renamed(kQwen, "blk.0.attn_k.bias", "blk.0.attn_x.bias"), "blk.0.attn_q.bias", "blk.0.attn_k.bias");
    checkRefused(swapped, Code::Corrupt, "blk.0.attn_k.bias");
}

TEST_CASE("A weight type that Carrel does not run is refused by its name") {
    Bytes bytes = kLlama;
    const std::string_view name = "blk.1.ffn_up.weight";
    put(bytes, find(bytes, name) + name.size() + 4 + 16, std::uint32_t{16});
    checkRefused(bytes, Code::Unsupported, "blk.1.ffn_up.weight: IQ2_XXS");
}

TEST_CASE("No single wrong byte in the header's sizes and names crashes loading") {
    std::mt19937 random(5);
    const std::size_t header = find(kLlama, "tokenizer.ggml.model"), directory = find(kLlama, "token_embd.weight");
    for (int round = 0; round < 150; ++round) {
        Bytes bytes = kLlama;
        const std::size_t at = round % 2 == 0 ? 24 + random() % (header - 24) : directory + random() % 1500;
        bytes[at] = static_cast<std::byte>(random());
        const TemporaryFolder folder;
        REQUIRE(writeFileAtomically(folder.path() / "model.gguf", bytes));
        const auto file = GgufFile::open(folder.path() / "model.gguf");
        if (!file) continue;
        const auto config = readConfig(*file);
        if (!config) continue;
        const auto backend = backendUnderTest(1);
        CHECK((Model::load(*file, *config, *backend) || true));  // either is fine; a sanitizer watches
    }
}

}  // namespace carrel
