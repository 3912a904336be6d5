#include "models/tiny_model.h"

#include <array>
#include <cassert>
#include <cmath>
#include <random>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/file.h"

namespace carrel {

namespace {

constexpr std::uint64_t kAlignment = 32;
enum : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };  // metadata types of GGUF

// In order of rank; every part is a byte or an earlier merge.
constexpr std::pair<std::string_view, std::string_view> kMerges[] = {
    {" ", "t"},    {"h", "e"}, {"i", "n"},  {" ", "a"},    {"r", "e"},   {"o", "n"},   {" t", "he"}, {"e", "r"},
    {" ", "s"},    {"a", "t"}, {"e", "n"},  {" ", "c"},    {"i", "t"},   {"i", "s"},   {"o", "r"},   {"e", "s"},
    {" ", "o"},    {" ", "w"}, {" ", "p"},  {"e", "d"},    {"a", "l"},   {"a", "n"},   {" o", "f"},  {"in", "g"},
    {" ", "m"},    {" ", "b"}, {" ", "f"},  {"a", "r"},    {" t", "o"},  {" a", "n"},  {" ", "in"},  {"o", "u"},
    {" an", "d"},  {"i", "c"}, {"a", "s"},  {"l", "e"},    {" ", "d"},   {"r", "o"},   {"i", "on"},  {"i", "l"},
    {" ", "re"},   {"o", "m"}, {"en", "t"}, {" ", "is"},   {" ", "l"},   {"e", "t"},   {" b", "e"},  {"v", "e"},
    {"at", "ion"}, {"t", "h"}, {" ", "th"}, {" th", "is"}, {"s", "t"},   {" f", "or"}, {" ", " "},   {"  ", "  "},
    {"\n", "\n"},  {"u", "s"}, {"a", "g"},  {"ag", "e"},   {" p", "age"}};

constexpr std::string_view kChatTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

constexpr std::string_view kGemmaTemplate =
    "{{ bos_token }}{% for message in messages %}{{'<start_of_turn>' + message['role'] + '\n' + message['content'] + "
    "'<end_of_turn>\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

/// Bytes in GPT-2's printable alphabet: printable bytes stand for themselves, the others for 256 onwards in order.
std::string printable(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        unsigned point = static_cast<unsigned char>(c);
        const auto stands = [](unsigned b) {
            return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        };
        if (!stands(point)) {
            unsigned others = 0;
            for (unsigned b = 0; b < point; ++b) others += !stands(b);
            point = 256 + others;
        }
        if (point < 0x80) {
            out += static_cast<char>(point);
        } else {
            out += static_cast<char>(0xc0 | point >> 6);
            out += static_cast<char>(0x80 | (point & 0x3f));
        }
    }
    return out;
}

struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    DType type;
    std::vector<std::byte> bytes;
};

class Random {
  public:
    explicit Random(std::uint64_t seed) : bits_(seed) {}
    std::uint8_t byte() { return static_cast<std::uint8_t>(bits_() >> 56); }
    /// Uniform, of mean 0 and the given deviation.
    float value(float deviation) {
        return (static_cast<float>(bits_() >> 40) * 0x1p-23F - 1.0F) * 1.7320508F * deviation;
    }

  private:
    std::mt19937_64 bits_;  // its stream is the same everywhere, unlike the library's distributions
};

/// One block of random weights: quants and sub-scales of any bits are valid, so only the f16 scales need care.
void appendBlock(ByteWriter& out, DType type, Random& random, float deviation) {
    const auto info = *dtypeInfo(static_cast<std::uint32_t>(type));
    std::vector<std::byte> block(info.blockBytes);
    for (auto& b : block) b = std::byte{random.byte()};
    const auto half = [&](std::size_t at, float f) {
        const std::uint16_t h = f32ToF16(f);
        std::memcpy(block.data() + at, &h, sizeof h);
    };
    const auto scaleAndMin = [&](float scale, float minimum) {
        half(0, scale);
        half(2, minimum * scale);
    };
    switch (type) {  // divisors: the deviation of quants (times sub-scales) of random bits; minima centre them
        case DType::Q4_0:
            half(0, deviation / 4.6F);
            break;
        case DType::Q4_1:
            scaleAndMin(deviation / 4.6F, -7.5F);
            break;
        case DType::Q5_0:
            half(0, deviation / 9.2F);
            break;
        case DType::Q5_1:
            scaleAndMin(deviation / 9.2F, -15.5F);
            break;
        case DType::Q8_0:
            half(0, deviation / 74.0F);
            break;
        case DType::Q4_K:
            scaleAndMin(deviation / 250.0F, 7.5F);
            break;
        case DType::Q5_K:
            scaleAndMin(deviation / 500.0F, 15.5F);
            break;
        case DType::Q6_K:
            half(208, deviation / 1367.0F);
            break;
        case DType::Q2_K:
            half(80, deviation / 13.9F);
            half(82, 1.5F * deviation / 13.9F);
            break;
        case DType::Q3_K:
            half(108, deviation / 43.3F);
            break;
        case DType::IQ4_NL:
            half(0, deviation / 67.4F);
            break;
        case DType::IQ4_XS:
            half(0, deviation / 1246.0F);
            break;
        case DType::F32:
        case DType::F16:
        case DType::BF16:
            assert(false);
    }
    out.write(block);
}

Tensor matrix(std::string name, std::uint32_t columns, std::uint32_t rows, DType type, Random& random,
              float deviation) {
    ByteWriter out;
    const std::uint64_t count = std::uint64_t{columns} * rows;
    const auto info = *dtypeInfo(static_cast<std::uint32_t>(type));
    assert(columns % info.blockElements == 0);
    for (std::uint64_t i = 0; i < count; i += info.blockElements) {
        if (type == DType::F32)
            out.write(random.value(deviation));
        else if (type == DType::F16)
            out.write(f32ToF16(random.value(deviation)));
        else if (type == DType::BF16)
            out.write(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(random.value(deviation)) >> 16));
        else
            appendBlock(out, type, random, deviation);
    }
    return {std::move(name), {columns, rows}, type, out.bytes()};
}

Tensor vector(std::string name, std::uint32_t count, Random& random, float mean, float deviation) {
    ByteWriter out;
    for (std::uint32_t i = 0; i < count; ++i) out.write(mean + random.value(deviation));
    return {std::move(name), {count}, DType::F32, out.bytes()};
}

std::uint32_t hiddenOf(const TinyModelSpec& spec) {
    return spec.hidden > 0 ? spec.hidden : spec.heads * spec.headDim;
}

std::vector<Tensor> tensorsOf(const TinyModelSpec& spec, std::uint32_t vocabulary) {
    Random random(spec.seed);
    const std::uint32_t hidden = hiddenOf(spec), queries = spec.heads * spec.headDim, kv = spec.kvHeads * spec.headDim;
    std::vector<Tensor> out;
    const auto weight = [&](const std::string& name, std::uint32_t columns, std::uint32_t rows) {
        out.push_back(
            matrix(name + ".weight", columns, rows, spec.type, random, 1.0F / std::sqrt(static_cast<float>(columns))));
    };
    // Logits of a normed state have deviation sqrt(hidden) times this: flat enough to sample, steep enough to have a
    // first; half of that where it is tied and scaled, or a token would say nothing but itself.
    const bool gemma = spec.architecture == "gemma3";
    out.push_back(matrix("token_embd.weight", hidden, vocabulary, spec.type, random,
                         (gemma ? 1.0F : 2.0F) / std::sqrt(static_cast<float>(hidden))));
    for (std::uint32_t l = 0; l < spec.layers; ++l) {
        const std::string block = "blk." + std::to_string(l) + ".";
        out.push_back(vector(block + "attn_norm.weight", hidden, random, 1.0F, 0.1F));
        for (const auto& [name, rows] :
             {std::pair{"attn_q", queries}, std::pair{"attn_k", kv}, std::pair{"attn_v", kv}}) {
            weight(block + name, hidden, rows);
            const float bias = std::string_view(name) == "attn_q" ? spec.queryBias : 0.5F;
            if (spec.architecture == "qwen2") out.push_back(vector(block + name + ".bias", rows, random, 0.0F, bias));
        }
        if (gemma || spec.architecture == "qwen3")
            for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"})
                out.push_back(vector(block + name, spec.headDim, random, spec.headNorm, 0.1F));
        weight(block + "attn_output", queries, hidden);
        if (gemma) out.push_back(vector(block + "post_attention_norm.weight", hidden, random, 1.0F, 0.1F));
        out.push_back(vector(block + "ffn_norm.weight", hidden, random, 1.0F, 0.1F));
        weight(block + "ffn_gate", hidden, spec.ffn);
        weight(block + "ffn_up", hidden, spec.ffn);
        weight(block + "ffn_down", spec.ffn, hidden);
        if (gemma) out.push_back(vector(block + "post_ffw_norm.weight", hidden, random, 1.0F, 0.1F));
    }
    out.push_back(vector("output_norm.weight", hidden, random, 1.0F, 0.1F));
    if (!spec.tiedOutput && !gemma)
        out.push_back(matrix("output.weight", hidden, vocabulary, spec.type, random,
                             2.0F / std::sqrt(static_cast<float>(hidden))));
    return out;
}

class MetadataWriter {
  public:
    void add(const std::string& key, std::uint32_t value) { head(key, kU32), out_.write(value); }
    void add(const std::string& key, float value) { head(key, kF32), out_.write(value); }
    void add(const std::string& key, bool value) { head(key, kBool), out_.write(static_cast<std::uint8_t>(value)); }
    void add(const std::string& key, std::string_view value) { head(key, kString), text(value); }
    void add(const std::string& key, const std::vector<std::string>& values) {
        array(key, kString, values.size());
        for (const auto& value : values) text(value);
    }
    void add(const std::string& key, const std::vector<std::int32_t>& values) {
        array(key, kI32, values.size());
        for (const auto value : values) out_.write(value);
    }
    void add(const std::string& key, const std::vector<float>& values) {
        array(key, kF32, values.size());
        for (const auto value : values) out_.write(value);
    }
    void text(std::string_view value) {
        out_.write(std::uint64_t{value.size()});
        out_.write(std::as_bytes(std::span(value)));
    }
    std::uint64_t count() const { return count_; }
    const std::vector<std::byte>& bytes() const { return out_.bytes(); }

  private:
    void head(const std::string& key, std::uint32_t type) {
        text(key);
        out_.write(type);
        ++count_;
    }
    void array(const std::string& key, std::uint32_t type, std::size_t size) {
        head(key, kArray);
        out_.write(type);
        out_.write(std::uint64_t{size});
    }
    ByteWriter out_;
    std::uint64_t count_ = 0;
};

/// Spaces as SentencePiece's vocabularies write them.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) c == ' ' ? out += "\u2581" : out += c;
    return out;
}

/// Control tokens, bytes, runs of spaces and newlines, and pieces: printable ASCII and kMerges in
/// order of rank. Returns the size.
std::uint32_t addSentencePieces(MetadataWriter& meta, const TinyModelSpec& spec) {
    enum : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };
    std::vector<std::string> tokens;
    std::vector<std::int32_t> types;
    std::vector<float> scores;
    const auto add = [&](std::string text, std::int32_t type, float score) {
        tokens.push_back(std::move(text));
        types.push_back(type);
        scores.push_back(score);
    };
    add("<unk>", kUnknown, 0.0F);
    for (const char* name : {"<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"}) add(name, kControl, -1000.0F);
    for (const auto& name : spec.controls) add(name, kControl, -1000.0F);
    if (!spec.spacePrefix)  // Gemma has them; Llama, which puts spaces, has not
        for (const char* run : {"\n", "\n\n", "  ", "   "}) add(run, kUserDefined, -1000.0F);
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) add(std::string("<0x") + digits[b / 16] + digits[b % 16] + '>', kByte, 0.0F);
    float score = 0.0F;
    for (const auto& [left, right] : kMerges)
        if (const auto text = std::string(left) + std::string(right); text.find("  ") == text.npos && text[0] != '\n')
            add(escaped(text), kNormal, score--);
    for (char c = ' '; c <= '~'; ++c) add(escaped({&c, 1}), kNormal, score--);
    meta.add("tokenizer.ggml.model", std::string_view("llama"));
    meta.add("tokenizer.ggml.pre", std::string_view("default"));
    meta.add("tokenizer.ggml.tokens", tokens);
    meta.add("tokenizer.ggml.scores", scores);
    meta.add("tokenizer.ggml.token_type", types);
    meta.add("tokenizer.ggml.bos_token_id", std::uint32_t{1});
    meta.add("tokenizer.ggml.eos_token_id", std::uint32_t{2});
    meta.add("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
    meta.add("tokenizer.ggml.add_bos_token", true);
    meta.add("tokenizer.ggml.add_space_prefix", spec.spacePrefix);
    meta.add("tokenizer.chat_template", spec.chatTemplate.empty() ? kGemmaTemplate : spec.chatTemplate);
    return static_cast<std::uint32_t>(tokens.size());
}

/// Adds the vocabulary; returns its size.
std::uint32_t addVocabulary(MetadataWriter& meta, const TinyModelSpec& spec) {
    if (spec.sentencePiece) return addSentencePieces(meta, spec);
    std::vector<std::string> tokens, merges;
    for (int b = 0; b < 256; ++b) tokens.push_back(printable(std::string(1, static_cast<char>(b))));
    for (const auto& [left, right] : kMerges) {
        merges.push_back(printable(left) + ' ' + printable(right));
        tokens.push_back(printable(left) + printable(right));
    }
    std::vector<std::int32_t> types(tokens.size(), 1);
    const auto firstSpecial = static_cast<std::uint32_t>(tokens.size());
    std::vector<std::string> controls{"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    controls.insert(controls.end(), spec.controls.begin(), spec.controls.end());
    for (const auto& name : controls) {
        tokens.push_back(name);
        types.push_back(3);  // control
    }
    meta.add("tokenizer.ggml.model", std::string_view("gpt2"));
    meta.add("tokenizer.ggml.pre", std::string_view(spec.architecture.starts_with("qwen") ? "qwen2" : "smollm"));
    meta.add("tokenizer.ggml.tokens", tokens);
    meta.add("tokenizer.ggml.token_type", types);
    meta.add("tokenizer.ggml.merges", merges);
    meta.add("tokenizer.ggml.bos_token_id", firstSpecial);
    meta.add("tokenizer.ggml.eos_token_id", firstSpecial + 2);
    meta.add("tokenizer.ggml.add_bos_token", false);
    meta.add("tokenizer.chat_template", spec.chatTemplate.empty() ? kChatTemplate : spec.chatTemplate);
    return static_cast<std::uint32_t>(tokens.size());
}

void pad(ByteWriter& out) {
    while (out.bytes().size() % kAlignment != 0) out.write(std::byte{0});
}

}  // namespace

std::vector<std::byte> tinyModel(const TinyModelSpec& spec) {
    MetadataWriter meta;
    const std::string prefix = spec.architecture + ".";
    meta.add("general.architecture", std::string_view(spec.architecture));
    meta.add("general.name", std::string_view("Tiny random model"));
    meta.add(prefix + "block_count", spec.layers);
    meta.add(prefix + "context_length", spec.context);
    meta.add(prefix + "embedding_length", hiddenOf(spec));
    meta.add(prefix + "feed_forward_length", spec.ffn);
    meta.add(prefix + "attention.head_count", spec.heads);
    meta.add(prefix + "attention.head_count_kv", spec.kvHeads);
    if (spec.hidden > 0) {
        meta.add(prefix + "attention.key_length", spec.headDim);
        meta.add(prefix + "attention.value_length", spec.headDim);
    }
    if (spec.architecture == "gemma3") meta.add(prefix + "attention.sliding_window", spec.slidingWindow);
    meta.add(prefix + "rope.dimension_count", spec.headDim);
    meta.add(prefix + "rope.freq_base", spec.ropeBase);
    meta.add(prefix + "attention.layer_norm_rms_epsilon", 1e-5F);
    for (const auto& [key, value] : spec.words) meta.add(key, std::string_view(value));
    for (const auto& [key, value] : spec.numbers) meta.add(key, value);
    const auto tensors = tensorsOf(spec, addVocabulary(meta, spec));

    std::uint64_t offset = 0;
    ByteWriter lines;
    for (const Tensor& tensor : tensors) {
        lines.write(std::uint64_t{tensor.name.size()});
        lines.write(std::as_bytes(std::span(tensor.name)));
        lines.write(static_cast<std::uint32_t>(tensor.shape.size()));
        for (const std::uint64_t d : tensor.shape) lines.write(d);
        lines.write(tensor.type);
        lines.write(offset);
        offset += (tensor.bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
    }
    ByteWriter out;
    out.write(std::array{'G', 'G', 'U', 'F'});
    out.write(std::uint32_t{3});
    out.write(std::uint64_t{tensors.size()});
    out.write(meta.count());
    out.write(meta.bytes());
    out.write(lines.bytes());
    pad(out);
    for (const Tensor& tensor : tensors) {
        out.write(tensor.bytes);
        pad(out);
    }
    return out.bytes();
}

Status writeTinyModel(const std::filesystem::path& file, const TinyModelSpec& spec) {
    return writeFileAtomically(file, tinyModel(spec));
}

}  // namespace carrel
