#include <carrel/lab.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "compute/registry.h"
#include "session/loaded_model.h"
#include "store/reading_store.h"
#include "transformer/sampler.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

const Error kStopped{Code::Cancelled, "", "stopped"};

double logSumExp(std::span<const float> logits) {
    const float most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
    return most + std::log(sum);
}

class LabImpl final : public Lab {
  public:
    LabImpl(std::unique_ptr<Backend> backend, std::unique_ptr<LoadedModel> loaded, Workspace work)
        : backend_(std::move(backend)),
          loaded_(std::move(loaded)),
          work_(std::move(work)),
          vocabulary_(loaded_->model().config.vocabulary) {}

    Result<Generated> generate(std::string_view text, std::uint32_t predict, std::stop_token stop) override {
        auto ids = loaded_->tokenizer().encodeWithSpecials(text);
        if (!ids) return ids.error();
        withBos(*ids);
        if (ids->empty()) return Error{Code::InvalidArgument, "", "the text is empty"};
        Generated out;
        KvSequence sequence(loaded_->model().config.kvShape());
        std::vector<float> logits(vocabulary_);
        const View<float, 2> row(logits.data(), {1, vocabulary_});
        auto start = Clock::now();
        if (auto done = loaded_->prefill(sequence, work_, *ids, row); !done) return done.error();
        out.prefillTokensPerS = static_cast<double>(ids->size()) / secondsSince(start);
        start = Clock::now();
        Sampler sampler({});
        Utf8Assembler words;
        while (out.ids.size() < predict) {
            if (stop.stop_requested()) return kStopped;
            const std::int32_t id = sampler.next(logits);
            out.ids.push_back(id);
            if (loaded_->tokenizer().endsTurn(id)) break;
            out.text += words.add(loaded_->tokenizer().bytes(id));
            if (out.ids.size() == predict) break;
            if (auto done = loaded_->prefill(sequence, work_, std::span(&id, 1), row); !done) return done.error();
        }
        out.text += words.finish();
        out.decodeTokensPerS = static_cast<double>(out.ids.size()) / secondsSince(start);
        return out;
    }

    Result<std::vector<PositionLogits>> logits(const std::vector<std::int32_t>& ids, std::uint32_t top,
                                               std::uint32_t last) override {
        if (const auto bad = check(ids); !bad) return bad.error();
        std::vector<PositionLogits> out;
        const std::size_t from = ids.size() - std::min<std::size_t>(last, ids.size());
        auto done = walk(ids, from, [&](std::size_t position, std::span<const float> row) {
            const double norm = logSumExp(row);
            std::vector<std::int32_t> order(row.size());
            std::iota(order.begin(), order.end(), 0);
            const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(top, order.size()));
            std::partial_sort(order.begin(), end, order.end(),
                              [&](auto a, auto b) { return row[std::size_t(a)] > row[std::size_t(b)]; });
            PositionLogits at{static_cast<std::uint32_t>(position), {}};
            for (auto it = order.begin(); it != end; ++it)
                at.top.emplace_back(*it, static_cast<float>(row[std::size_t(*it)] - norm));
            out.push_back(std::move(at));
        });
        if (!done) return done.error();
        return out;
    }

    Result<Perplexity> perplexity(std::string_view text, std::uint32_t context, std::uint32_t windows,
                                  std::stop_token stop) override {
        const auto tokens = loaded_->tokenizer().encode(text);
        if (!tokens) return tokens.error();
        std::vector<std::int32_t> ids;
        for (const auto& token : *tokens) ids.push_back(token.id);
        const bool bos = loaded_->tokenizer().addsBos() && loaded_->tokenizer().bos();
        if (bos) ids.insert(ids.begin(), *loaded_->tokenizer().bos());
        if (context < 4 || ids.size() < context)
            return Error{
                Code::InvalidArgument, "",
                "the text has " + std::to_string(ids.size()) + " tokens, a window needs " + std::to_string(context)};
        const std::size_t count = std::min<std::size_t>(windows == 0 ? SIZE_MAX : windows, ids.size() / context);
        Perplexity out;
        for (std::size_t w = 0; w < count; ++w) {
            if (stop.stop_requested()) return kStopped;
            std::vector<std::int32_t> window(ids.begin() + std::ptrdiff_t(w * context),
                                             ids.begin() + std::ptrdiff_t((w + 1) * context));
            const auto targets = window;
            if (bos) window[0] = *loaded_->tokenizer().bos();
            const std::size_t first = context / 2;
            window.pop_back();  // the last token is only ever a target
            auto done = walk(window, first, [&](std::size_t position, std::span<const float> row) {
                out.nll += logSumExp(row) - row[std::size_t(targets[position + 1])];
                ++out.tokens;
            });
            if (!done) return done.error();
        }
        out.nll /= static_cast<double>(out.tokens);
        out.perplexity = std::exp(out.nll);
        return out;
    }

    Result<BenchRow> bench(std::string_view text, std::uint32_t tokens, std::uint32_t batch, std::uint32_t predict,
                           const std::filesystem::path& scratch, std::stop_token stop) override {
        const auto encoded = loaded_->tokenizer().encode(text);
        if (!encoded) return encoded.error();
        if (encoded->empty() || tokens == 0 || batch == 0 || batch > work_.rows() || predict == 0)
            return Error{Code::InvalidArgument, "", "bench needs a text, and tokens, batch and predict above 0"};
        std::vector<std::int32_t> ids;
        for (std::size_t i = 0; i < tokens; ++i)
            ids.push_back((*encoded)[i % encoded->size()].id);  // a short text repeats

        auto store = ReadingStore::open(realFileSystem(), scratch);
        if (!store) return store.error();
        const ModelConfig& config = loaded_->model().config;
        auto stream = (*store)->openReading({std::string(64, '0'), loaded_->model().fingerprint, "bench", "f16"},
                                            config.kvShape());
        if (!stream) return stream.error();
        if (auto empty = (*stream)->truncate(0); !empty) return empty.error();

        BenchRow out{tokens, batch};
        std::vector<float> logits(vocabulary_ * batch);
        KvSequence prefix(config.kvShape());
        double committing = 0;
        if (auto warm = warmUp(); !warm) return warm.error();  // as llama.cpp's benchmark does
        const auto start = Clock::now();
        for (std::span<const std::int32_t> left = ids; !left.empty();) {
            if (stop.stop_requested()) return kStopped;
            const auto now = left.first(std::min(left.size(), kBatchTokens));
            left = left.subspan(now.size());
            const std::uint32_t from = prefix.tokens() / kGroupTokens * kGroupTokens;
            if (auto done =
                    loaded_->prefill(prefix, work_, now, {logits.data(), {left.empty() ? 1u : 0u, vocabulary_}});
                !done)
                return done.error();
            const auto commit = Clock::now();
            auto block = prefix.gather(*backend_, from);
            if (!block) return block.error();
            if (auto done =
                    (*stream)->commit({from, std::span<const std::int32_t>(ids).subspan(from, prefix.tokens() - from),
                                       (*block)->payload()});
                !done)
                return done.error();
            committing += secondsSince(commit);
        }
        const double prefill = secondsSince(start);
        out.prefillTokensPerS = tokens / prefill;
        out.prefillUnpersistedTokensPerS = tokens / (prefill - committing);
        out.firstTokenS = prefill;

        std::vector<KvSequence> sequences(batch, prefix);
        std::vector<std::int32_t> next(batch, Sampler({}).next(std::span(logits).first(vocabulary_)));
        std::vector<double> steps;
        for (std::uint32_t step = 0; step < predict; ++step) {
            if (stop.stop_requested()) return kStopped;
            const auto begun = Clock::now();
            if (auto done = decodeStep(sequences, next, logits); !done) return done.error();
            steps.push_back(secondsSince(begun));
        }
        const double decode = std::accumulate(steps.begin(), steps.end(), 0.0);
        out.decodeTokensPerS = predict * batch / decode;
        out.endToEnd128S = prefill + 128 * decode / predict;
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        out.peakRssBytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
        return out;
    }

  private:
    void withBos(std::vector<std::int32_t>& ids) const {
        const auto bos = loaded_->tokenizer().bos();
        if (loaded_->tokenizer().addsBos() && bos && (ids.empty() || ids.front() != *bos))
            ids.insert(ids.begin(), *bos);
    }
    Status check(const std::vector<std::int32_t>& ids) const {
        if (ids.empty()) return Error{Code::InvalidArgument, "", "no ids"};
        for (const std::int32_t id : ids)
            if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_)
                return Error{Code::InvalidArgument, "", "id " + std::to_string(id) + " is not in the vocabulary"};
        return {};
    }

    /// Runs ids from nothing and hands out the logits of positions from `first` on.
    template <class Sink>
    Status walk(std::span<const std::int32_t> ids, std::size_t first, Sink&& sink) {
        constexpr std::size_t kRows = 64;  // of logits at a time: 64 rows of a 150K vocabulary are 39 MB
        std::vector<float> logits(kRows * vocabulary_);
        KvSequence sequence(loaded_->model().config.kvShape());
        for (std::size_t at = 0; at < ids.size();) {
            const std::size_t count = std::min(ids.size() - at, work_.rows());
            auto open = sequence.extend(*backend_, static_cast<std::uint32_t>(count));
            if (!open) return open.error();
            Pass pass(loaded_->model(), *backend_, work_, {{&sequence, open->get(), ids.subspan(at, count)}},
                      at + count > first);
            while (pass.step()) {
            }
            for (std::size_t row = first > at ? first - at : 0; row < count; row += kRows) {
                const std::size_t rows = std::min(kRows, count - row);
                pass.logits(row, rows, {logits.data(), {rows, vocabulary_}});
                for (std::size_t i = 0; i < rows; ++i)
                    sink(at + row + i, std::span<const float>(logits).subspan(i * vocabulary_, vocabulary_));
            }
            sequence.push(std::move(*open));
            at += count;
        }
        return {};
    }

    Status warmUp() {
        KvSequence sequence(loaded_->model().config.kvShape());
        const std::vector<std::int32_t> ids(32, 1);
        std::vector<float> logits(vocabulary_);
        return loaded_->prefill(sequence, work_, ids, {logits.data(), {1, vocabulary_}});
    }

    Status decodeStep(std::vector<KvSequence>& sequences, std::vector<std::int32_t>& next, std::vector<float>& logits) {
        std::vector<std::shared_ptr<KvBlock>> open;
        std::vector<PassInput> inputs;
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            auto block = sequences[s].extend(*backend_, 1);
            if (!block) return block.error();
            open.push_back(std::move(*block));
            inputs.push_back({&sequences[s], open.back().get(), std::span(&next[s], 1)});
        }
        Pass pass(loaded_->model(), *backend_, work_, std::move(inputs), true);
        while (pass.step()) {
        }
        pass.logits(0, sequences.size(), {logits.data(), {sequences.size(), vocabulary_}});
        for (std::size_t s = 0; s < sequences.size(); ++s) {
            sequences[s].push(std::move(open[s]));
            next[s] = Sampler({}).next(std::span<const float>(logits).subspan(s * vocabulary_, vocabulary_));
        }
        return {};
    }

    std::unique_ptr<Backend> backend_;
    std::unique_ptr<LoadedModel> loaded_;
    Workspace work_;
    std::size_t vocabulary_;
};

}  // namespace

Result<std::vector<std::vector<std::int32_t>>> tokenizeTexts(const std::filesystem::path& model,
                                                             const std::vector<std::string>& texts) {
    const auto file = GgufFile::open(model);
    if (!file) return file.error();
    const auto tokenizer = Tokenizer::load(*file);
    if (!tokenizer) return tokenizer.error();
    std::vector<std::vector<std::int32_t>> out;
    for (const std::string& text : texts) {
        const auto tokens = tokenizer->encode(text);
        if (!tokens) return tokens.error();
        auto& ids = out.emplace_back();
        for (const TextToken& token : *tokens) ids.push_back(token.id);
    }
    return out;
}

Result<std::unique_ptr<Lab>> Lab::open(const std::filesystem::path& model, unsigned threads, const std::string& isa) {
    auto backend = makeCpuBackend(isa, threads);
    if (!backend) return backend.error();
    auto loaded = LoadedModel::load(model, **backend);
    if (!loaded) return loaded.error();
    auto work = Workspace::make(**backend, (*loaded)->model().config, kBatchTokens);
    if (!work) return work.error();
    return std::unique_ptr<Lab>(std::make_unique<LabImpl>(std::move(*backend), std::move(*loaded), std::move(*work)));
}

}  // namespace carrel
