#include <cmath>

#include "engine/transformer/tiny_fixture.h"

// A forward pass written once more, plainly and in double, from what the papers say: what an architecture's name means
// is told here by itself.

namespace carrel {

namespace {

using Vector = std::vector<double>;

struct Reference {
    TinyModelSpec spec;
    GgufFile file;
    std::size_t hidden, d;
    bool gemma, qwen3;

    Reference(const TinyModelSpec& of, GgufFile gguf)
        : spec(of),
          file(std::move(gguf)),
          hidden(of.hidden > 0 ? of.hidden : of.heads * of.headDim),
          d(of.headDim),
          gemma(of.architecture == "gemma3"),
          qwen3(of.architecture == "qwen3") {}

    Vector tensor(const std::string& name) const {
        const GgufTensor* found = file.find(name);
        REQUIRE(found != nullptr);
        const auto raw = file.read(*found);
        REQUIRE(raw);
        std::vector<float> values(raw->size() / sizeof(float));
        std::memcpy(values.data(), raw->data(), raw->size());
        return {values.begin(), values.end()};
    }
    static Vector times(const Vector& matrix, const Vector& x) {
        Vector out(matrix.size() / x.size());
        for (std::size_t i = 0; i < matrix.size(); ++i) out[i / x.size()] += matrix[i] * x[i % x.size()];
        return out;
    }
    static void norm(double* x, const Vector& weight) {
        double sum = 0;
        for (std::size_t i = 0; i < weight.size(); ++i) sum += x[i] * x[i];
        const double scale = 1 / std::sqrt(sum / static_cast<double>(weight.size()) + 1e-5);
        for (std::size_t i = 0; i < weight.size(); ++i) x[i] *= scale * weight[i];
    }
    Vector normed(Vector x, const std::string& name) const {
        norm(x.data(), tensor(name + ".weight"));
        return x;
    }
    bool local(std::uint32_t layer) const { return gemma && layer % 6 != 5; }
    /// q or k of one token, normed and turned.
    Vector turned(const Vector& x, const std::string& at, const char* name, std::uint32_t layer, std::size_t p) const {
        Vector out = times(tensor(at + "attn_" + name + ".weight"), x);
        if (spec.architecture == "qwen2") {
            const Vector bias = tensor(at + "attn_" + name + ".bias");
            for (std::size_t i = 0; i < out.size(); ++i) out[i] += bias[i];
        }
        const double base = local(layer) ? 10000.0 : static_cast<double>(spec.ropeBase);
        for (double* head = out.data(); head != out.data() + out.size(); head += d) {
            if (gemma || qwen3) norm(head, tensor(at + "attn_" + name + "_norm.weight"));
            for (std::size_t j = 0; j < d / 2; ++j) {
                const bool halves = spec.architecture != "llama";
                double &a = head[halves ? j : 2 * j], &b = head[halves ? j + d / 2 : 2 * j + 1];
                const double angle =
                    static_cast<double>(p) * std::pow(base, -2.0 * static_cast<double>(j) / static_cast<double>(d));
                const double before = a;
                a = before * std::cos(angle) - b * std::sin(angle);
                b = before * std::sin(angle) + b * std::cos(angle);
            }
        }
        return out;
    }
    void attend(std::vector<Vector>& x, std::uint32_t layer) const {
        const std::string at = "blk." + std::to_string(layer) + ".";
        std::vector<Vector> q, k, v;
        for (std::size_t p = 0; p < x.size(); ++p) {
            const Vector in = normed(x[p], at + "attn_norm");
            q.push_back(turned(in, at, "q", layer, p));
            k.push_back(turned(in, at, "k", layer, p));
            v.push_back(times(tensor(at + "attn_v.weight"), in));
            if (spec.architecture != "qwen2") continue;
            const Vector bias = tensor(at + "attn_v.bias");
            for (std::size_t i = 0; i < bias.size(); ++i) v.back()[i] += bias[i];
        }
        for (std::size_t p = 0; p < x.size(); ++p) {
            const std::size_t first = local(layer) && p >= spec.slidingWindow ? p + 1 - spec.slidingWindow : 0;
            Vector out(spec.heads * d);
            for (std::size_t h = 0; h < spec.heads; ++h) {
                const std::size_t kv = h * spec.kvHeads / spec.heads * d;
                Vector weight;
                double sum = 0;
                for (std::size_t key = first; key <= p; ++key) {
                    double score = 0;
                    for (std::size_t i = 0; i < d; ++i) score += q[p][h * d + i] * k[key][kv + i];
                    weight.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
                    sum += weight.back();
                }
                for (std::size_t key = first; key <= p; ++key)
                    for (std::size_t i = 0; i < d; ++i) out[h * d + i] += weight[key - first] / sum * v[key][kv + i];
            }
            add(x[p], times(tensor(at + "attn_output.weight"), out), at + "post_attention_norm");
        }
    }
    void add(Vector& x, Vector more, const std::string& norm) const {
        if (gemma) more = normed(std::move(more), norm);
        for (std::size_t i = 0; i < hidden; ++i) x[i] += more[i];
    }
    void feed(Vector& x, const std::string& at) const {
        const Vector in = normed(x, at + "ffn_norm");
        Vector gate = times(tensor(at + "ffn_gate.weight"), in);
        const Vector up = times(tensor(at + "ffn_up.weight"), in);
        for (std::size_t i = 0; i < gate.size(); ++i) {
            const double g = gate[i];
            const double gelu = 0.5 * g * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (g + 0.044715 * g * g * g)));
            gate[i] = (gemma ? gelu : g / (1 + std::exp(-g))) * up[i];
        }
        add(x, times(tensor(at + "ffn_down.weight"), gate), at + "post_ffw_norm");
    }
    /// Logits of the last `count` tokens.
    std::vector<Vector> logits(const std::vector<std::int32_t>& ids, std::size_t count) const {
        const Vector table = tensor("token_embd.weight");
        std::vector<Vector> x;
        for (const std::int32_t id : ids) {
            const auto from = table.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(id) * hidden);
            x.emplace_back(from, from + static_cast<std::ptrdiff_t>(hidden));
            for (double& each : x.back()) each *= gemma ? std::sqrt(static_cast<double>(hidden)) : 1;
        }
        for (std::uint32_t layer = 0; layer < spec.layers; ++layer) {
            attend(x, layer);
            for (Vector& each : x) feed(each, "blk." + std::to_string(layer) + ".");
        }
        const Vector output = file.find("output.weight") != nullptr ? tensor("output.weight") : table;
        std::vector<Vector> out;
        for (std::size_t p = ids.size() - count; p < ids.size(); ++p)
            out.push_back(times(output, normed(x[p], "output_norm")));
        return out;
    }
};

TinyModelSpec specOf(const std::string& architecture) {
    TinyModelSpec spec;
    spec.architecture = architecture;
    spec.type = DType::F32;
    spec.layers = architecture == "gemma3" ? 7 : 2;  // five local, a global and a local
    spec.heads = 4, spec.kvHeads = 2, spec.headDim = 32, spec.hidden = 48, spec.ffn = 64;
    spec.headNorm = 1.5F;
    spec.slidingWindow = 37;
    spec.ropeBase = 100000.0F;
    return spec;
}

}  // namespace

TEST_CASE("Every architecture's logits are those of a forward pass in double") {
    constexpr std::size_t kTokens = 150, kLast = 90;
    for (const std::string architecture : {"llama", "qwen2", "qwen3", "gemma3"}) {
        CAPTURE(architecture);
        const TinyModelSpec spec = specOf(architecture);
        const Loaded loaded(spec);
        const TemporaryFolder folder;
        REQUIRE(writeTinyModel(folder.path() / "tiny.gguf", spec));
        auto file = GgufFile::open(folder.path() / "tiny.gguf");
        REQUIRE(file);
        const auto ids = someIds(1, kTokens);
        const auto expected = Reference(spec, std::move(*file)).logits(ids, kLast);

        Workspace work = loaded.workspace(kTokens);
        KvSequence sequence(loaded.model.config.kvShape());
        auto open = sequence.extend(*loaded.backend, kTokens);
        REQUIRE(open);
        Pass pass(loaded.model, *loaded.backend, work, {{&sequence, open->get(), ids}}, true);
        REQUIRE(pass.run());
        std::vector<float> got(kLast * loaded.vocabulary());
        pass.logits(kTokens - kLast, kLast, {got.data(), {kLast, loaded.vocabulary()}});
        double squares = 0;
        for (std::size_t i = 0; i < got.size(); ++i)
            squares +=
                std::pow(static_cast<double>(got[i]) - expected[i / loaded.vocabulary()][i % loaded.vocabulary()], 2);
        // Keys and values are f16, logits have a deviation of 2: a window of one token more gives 0.6.
        const double error = std::sqrt(squares / static_cast<double>(got.size()));
        CAPTURE(error);
        CHECK(error < 0.005);
        CHECK(error > 0);
    }
}

TEST_CASE("A local layer's token sees as many tokens as its window says, itself included, and no more") {
    TinyModelSpec spec = specOf("gemma3");
    spec.layers = 1;
    const Loaded loaded(spec);
    const auto ids = someIds(2, 130);
    const auto last = [&](std::vector<std::int32_t> of) {
        Workspace work = loaded.workspace(of.size());
        KvSequence sequence(loaded.model.config.kvShape());
        auto open = sequence.extend(*loaded.backend, static_cast<std::uint32_t>(of.size()));
        REQUIRE(open);
        Pass pass(loaded.model, *loaded.backend, work, {{&sequence, open->get(), of}}, true);
        REQUIRE(pass.run());
        std::vector<float> out(loaded.vocabulary());
        pass.logits(of.size() - 1, 1, {out.data(), {1, out.size()}});
        return out;
    };
    const auto with = [&](std::size_t at) {
        auto changed = ids;
        changed[at] = (changed[at] + 1) % 300;
        return last(std::move(changed));
    };
    const auto plain = last(ids);
    CHECK(with(130 - 37 - 1) == plain);
    CHECK(with(0) == plain);
    CHECK(with(130 - 37) != plain);
}

}  // namespace carrel
