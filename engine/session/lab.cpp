#include <carrel/lab.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "compute/choose_backend.h"
#include "session/measurement.h"
#include "transformer/sampler.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

const Error kStopped{Code::Cancelled, "", "stopped"};

class LabImpl final : public Lab {
  public:
    LabImpl(LabOptions options, ChosenBackend chosen, std::unique_ptr<LoadedModel> loaded, Workspace work)
        : options_(std::move(options)),
          chosen_(std::move(chosen)),
          loaded_(std::move(loaded)),
          work_(std::move(work)),
          vocabulary_(loaded_->model().config.vocabulary) {}

    const Processor& processor() const override { return chosen_.processor; }

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
                           std::stop_token stop) override {
        return Measurement(*loaded_, work_, options_).bench(text, tokens, batch, predict, stop);
    }
    Result<Comparison> compare(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                               const std::string& referenceCodec, std::stop_token stop) override {
        return Measurement(*loaded_, work_, options_).compare(text, tokens, probes, referenceCodec, stop);
    }
    Result<ProfileReport> profile(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                  std::stop_token stop) override {
        return Measurement(*loaded_, work_, options_).profile(text, tokens, probes, stop);
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
            auto open = sequence.extend(*chosen_.backend, static_cast<std::uint32_t>(count));
            if (!open) return open.error();
            Pass pass(loaded_->model(), *chosen_.backend, work_, {{&sequence, open->get(), ids.subspan(at, count)}},
                      at + count > first);
            if (auto done = pass.run(); !done) return done;
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

    LabOptions options_;
    ChosenBackend chosen_;
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

Result<std::unique_ptr<Lab>> Lab::open(const LabOptions& options) {
    const BackendOptions wanted{options.backend, options.isa, options.threads, options.cudaPlugin};
    auto chosen = chooseBackend(wanted);
    if (!chosen) return chosen.error();
    std::unique_ptr<LoadedModel> model;
    Workspace workspace;
    const auto done = loadOnto(*chosen, wanted, [&](Backend& backend) -> Status {
        auto loaded = LoadedModel::load(options.model, backend, options.data);
        if (!loaded) return loaded.error();
        auto work = Workspace::make(backend, (*loaded)->model().config, kBatchTokens);
        if (!work) return work.error();
        model = std::move(*loaded);
        workspace = std::move(*work);
        return {};
    });
    if (!done) return done.error();
    return std::unique_ptr<Lab>(
        std::make_unique<LabImpl>(options, std::move(*chosen), std::move(model), std::move(workspace)));
}

}  // namespace carrel
