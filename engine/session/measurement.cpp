#include "session/measurement.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "transformer/sampler.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

const Error kStopped{Code::Cancelled, "", "stopped"};
constexpr double kClearLead = 0.5;  // nats
constexpr std::size_t kProbeRows = 32;

std::vector<double> logProbabilities(std::span<const float> logits) {
    const double norm = logSumExp(logits);
    std::vector<double> out(logits.begin(), logits.end());
    for (double& x : out) x -= norm;
    return out;
}

/// KL(p || q), nats.
double divergence(const std::vector<double>& p, const std::vector<double>& q) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
    return sum;
}

}  // namespace

double logSumExp(std::span<const float> logits) {
    const float most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
    return most + std::log(sum);
}

Result<std::vector<std::int32_t>> Measurement::idsOf(std::string_view text, std::size_t count, bool repeat) const {
    const auto encoded = model_.tokenizer().encode(text);
    if (!encoded) return encoded.error();
    std::vector<std::int32_t> ids;
    if (const auto bos = model_.tokenizer().bos(); bos && model_.tokenizer().addsBos()) ids.push_back(*bos);
    for (const TextToken& token : *encoded) ids.push_back(token.id);
    if (ids.empty() || (!repeat && ids.size() < count))
        return Error{
            Code::InvalidArgument, "",
            "the text has " + std::to_string(ids.size()) + " tokens, " + std::to_string(count) + " are needed"};
    const std::size_t own = ids.size();
    while (ids.size() < count) ids.push_back(ids[ids.size() % own]);
    ids.resize(count);
    return ids;
}

Result<TokenReading> Measurement::read(std::vector<std::int32_t> ids, const KvSettings& settings, Times& times,
                                       std::stop_token stop) {
    if (!store_) {
        auto store = ReadingStore::open(realFileSystem(), options_.scratch);
        if (!store) return store.error();
        store_ = std::move(*store);
    }
    const std::string name = sha256Hex(std::as_bytes(std::span<const std::int32_t>(ids)));
    auto reading = TokenReading::open(model_, *store_, {name, model_.model().fingerprint, "lab", {}}, std::move(ids),
                                      settings, false);
    if (!reading) return reading;
    if (!reading->complete()) {  // weights and pages are warmed as llama.cpp's benchmark does
        KvSequence warm(model_.model().config.kvShape());
        const std::vector<std::int32_t> some(32, 1);
        if (auto done = model_.prefill(warm, work_, some, {}); !done) return done.error();
    }
    const auto start = Clock::now();
    while (!reading->complete()) {
        if (stop.stop_requested()) return kStopped;
        if (auto begun = reading->beginBatch(work_, kBatchTokens); !begun) return begun.error();
        for (;;) {
            const auto more = reading->step();
            if (!more) return more.error();
            if (!*more) break;
        }
        const auto commit = Clock::now();
        if (auto ended = reading->endBatch(); !ended) return ended.error();
        times.commitS += secondsSince(commit);
    }
    times.prefillS = secondsSince(start);
    return reading;
}

Status Measurement::walk(const TokenReading& reading, std::span<const std::int32_t> ids, Reads reads,
                         std::vector<float>& logits, std::stop_token stop) {
    logits.resize(ids.size() * vocabulary_);
    KvSequence sequence = reading.rest();
    LeafHistory history;
    // Rows choose apart, so several at a time read what one after the other would; more than one where all is at hand.
    const std::size_t most = reads.policy == nullptr || reading.kv().resident() ? kProbeRows : 1;
    for (std::size_t at = 0; at < ids.size();) {
        if (stop.stop_requested()) return kStopped;
        const std::size_t count = std::min(most, ids.size() - at);
        auto open = sequence.extend(model_.backend(), static_cast<std::uint32_t>(count));
        if (!open) return open.error();
        Pass pass(model_.model(), model_.backend(), work_,
                  {{&sequence, open->get(), ids.subspan(at, count), &reading.kv(), nullptr, &history}}, true, reads);
        if (auto done = pass.run(); !done) return done;
        pass.logits(0, count, {logits.data() + at * vocabulary_, {count, vocabulary_}});
        sequence.push(std::move(*open));
        at += count;
    }
    return {};
}

Result<Comparison> Measurement::compare(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                        const std::string& referenceCodec, std::stop_token stop) {
    auto ids = idsOf(text, std::size_t{tokens} + probes + 1, false);
    if (!ids) return ids.error();
    const std::vector<std::int32_t> document(ids->begin(), ids->begin() + tokens);
    const auto probe = std::span<const std::int32_t>(*ids).subspan(tokens, probes);
    Times times;
    std::vector<float> expected, got;
    {
        KvSettings full = options_.kv;
        full.keep = 1;
        if (!referenceCodec.empty()) full.codec = referenceCodec;
        const auto reading = read(document, full, times, stop);
        if (!reading) return reading.error();
        if (auto done = walk(*reading, probe, {}, expected, stop); !done) return done.error();
    }
    const auto reading = read(document, options_.kv, times, stop);
    if (!reading) return reading.error();
    ReadStats stats;
    const auto& policy = reading->policy();
    reading->kv().resetCounters();
    const auto start = Clock::now();
    if (auto done = walk(*reading, probe, {policy ? &*policy : nullptr, &stats}, got, stop); !done) return done.error();
    Comparison out;
    out.probes = probes;
    out.tiers = reading->report(stats, secondsSince(start));
    std::vector<double> kld;
    double nllReference = 0, nll = 0;
    for (std::size_t i = 0; i < probes; ++i) {
        const auto p = logProbabilities(std::span(expected).subspan(i * vocabulary_, vocabulary_)),
                   q = logProbabilities(std::span(got).subspan(i * vocabulary_, vocabulary_));
        kld.push_back(divergence(p, q));
        const auto best = std::max_element(p.begin(), p.end());
        const bool same = std::max_element(q.begin(), q.end()) - q.begin() == best - p.begin();
        double second = -INFINITY;
        for (auto it = p.begin(); it != p.end(); ++it)
            if (it != best) second = std::max(second, *it);
        out.topAgreement += same;
        out.clearFlips += !same && *best - second > kClearLead;
        const auto target = static_cast<std::size_t>((*ids)[tokens + i + 1]);
        nllReference -= p[target];
        nll -= q[target];
    }
    out.kldMean = std::accumulate(kld.begin(), kld.end(), 0.0) / probes;
    std::sort(kld.begin(), kld.end());
    out.kldP99 = kld[std::min<std::size_t>(kld.size() - 1, kld.size() * 99 / 100)];
    out.topAgreement /= probes;
    out.clearFlips /= probes;
    out.perplexityReference = std::exp(nllReference / probes);
    out.perplexity = std::exp(nll / probes);
    return out;
}

Result<std::vector<double>> Measurement::divergences(const TokenReading& reading, std::span<const std::int32_t> ids,
                                                     Reads reads, std::span<const float> expected,
                                                     std::stop_token stop) {
    std::vector<float> got;
    if (auto done = walk(reading, ids, reads, got, stop); !done) return done.error();
    std::vector<double> out;
    for (std::size_t at = 0; at < got.size(); at += vocabulary_)
        out.push_back(divergence(logProbabilities(expected.subspan(at, vocabulary_)),
                                 logProbabilities(std::span(got).subspan(at, vocabulary_))));
    return out;
}

Result<ProfileReport> Measurement::profile(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                           std::stop_token stop) {
    if (options_.data.empty()) return Error{Code::InvalidArgument, "", "no data folder to keep a profile in"};
    auto ids = idsOf(text, std::size_t{tokens} + probes, false);
    if (!ids) return ids.error();
    const std::vector<std::int32_t> document(ids->begin(), ids->begin() + tokens);
    const auto probe = std::span<const std::int32_t>(*ids).subspan(tokens, probes);
    Times times;
    const auto reading = read(document, options_.kv, times, stop);
    if (!reading) return reading.error();
    if (!reading->policy() || !reading->kv().hasMeans() || reading->policy()->rule.scorer == Scorer::MinMax)
        return Error{Code::InvalidArgument, "", "everything is read, or there is nothing to estimate the rest from"};
    std::vector<float> expected;
    if (auto done = walk(*reading, probe, {}, expected, stop); !done) return done.error();
    ReadPolicy policy = *reading->policy();
    ReadStats stats;
    policy.estimate = false;
    const auto plain = divergences(*reading, probe, {&policy, &stats}, expected, stop);
    if (!plain) return plain.error();
    policy.estimate = true;
    const auto estimated = divergences(*reading, probe, {&policy, nullptr}, expected, stop);
    if (!estimated) return estimated.error();

    ProfileReport out;
    const double n = probes;
    double squares = 0;
    for (std::uint32_t i = 0; i < probes; ++i) {
        const double gain = (*plain)[i] - (*estimated)[i];
        out.kldPlain += (*plain)[i] / n;
        out.kldEstimated += (*estimated)[i] / n;
        out.gain += gain / n;
        squares += gain * gain / n;
    }
    out.gainError = std::sqrt(std::max(0.0, squares - out.gain * out.gain) / n);
    out.estimate = out.gain > 2 * out.gainError;
    if (stats.tokensThere > 0)
        out.readShare = static_cast<double>(stats.tokensRead) / static_cast<double>(stats.tokensThere);
    const std::string& fingerprint = model_.model().fingerprint;
    if (auto written = ModelProfile{out.estimate}.write(options_.data, fingerprint); !written) return written.error();
    out.file = profilePath(options_.data, fingerprint);
    return out;
}

Result<BenchRow> Measurement::bench(std::string_view text, std::uint32_t tokens, std::uint32_t batch,
                                    std::uint32_t predict, std::stop_token stop) {
    if (tokens == 0 || batch == 0 || batch > kProbeRows || predict == 0)
        return Error{Code::InvalidArgument, "",
                     "bench needs a text, tokens and predict above 0, and 1 to 32 sequences"};
    auto ids = idsOf(text, tokens, true);
    if (!ids) return ids.error();
    const std::int32_t last = ids->back();
    Times times;
    const auto begun = Clock::now();
    const auto reading = read(std::move(*ids), options_.kv, times, stop);
    if (!reading) return reading.error();
    BenchRow out;
    out.tokens = tokens;
    out.batch = batch;
    out.reusedTokens = reading->reusedTokens();
    const double fresh = static_cast<double>(tokens - out.reusedTokens);
    if (fresh > 0) {
        out.prefillTokensPerS = fresh / times.prefillS;
        out.prefillUnpersistedTokensPerS = fresh / (times.prefillS - times.commitS);
    }
    out.diskBytes = reading->stream().diskBytes().all();
    out.kvBytesF16 = tokens * model_.model().config.kvBytesPerToken();

    // A first step, of the last token once more, says what the sequences begin with; it warms the tiers too.
    const auto& policy = reading->policy();
    const Reads quiet{policy ? &*policy : nullptr, nullptr};
    std::vector<float> logits(vocabulary_ * batch);
    if (auto done = walk(*reading, std::span(&last, 1), quiet, logits, stop); !done) return done.error();
    out.firstTokenS = secondsSince(begun);
    std::vector<std::int32_t> order(vocabulary_);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + batch, order.end(),
                      [&](auto a, auto b) { return logits[std::size_t(a)] > logits[std::size_t(b)]; });
    std::vector<std::int32_t> next(order.begin(), order.begin() + batch);
    std::vector<KvSequence> sequences(batch, reading->rest());
    std::vector<LeafHistory> histories(batch);

    ReadStats stats;
    std::vector<double> steps;
    reading->kv().resetCounters();
    for (std::uint32_t step = 0; step < predict; ++step) {
        if (stop.stop_requested()) return kStopped;
        const auto start = Clock::now();
        std::vector<std::shared_ptr<KvBlock>> open;
        std::vector<PassInput> inputs;
        for (std::size_t s = 0; s < batch; ++s) {
            auto block = sequences[s].extend(model_.backend(), 1);
            if (!block) return block.error();
            open.push_back(std::move(*block));
            inputs.push_back(
                {&sequences[s], open.back().get(), std::span(&next[s], 1), &reading->kv(), nullptr, &histories[s]});
        }
        Pass pass(model_.model(), model_.backend(), work_, std::move(inputs), true, {quiet.policy, &stats});
        if (auto done = pass.run(); !done) return done.error();
        if (auto done = pass.likeliest(0, next); !done) return done.error();
        for (std::size_t s = 0; s < batch; ++s) sequences[s].push(std::move(open[s]));
        steps.push_back(secondsSince(start));
    }
    const double decode = std::accumulate(steps.begin(), steps.end(), 0.0);
    out.decodeTokensPerS = predict * batch / decode;
    out.endToEnd128S = times.prefillS + 128 * decode / predict;
    out.tiers = reading->report(stats, decode);
    std::sort(steps.begin(), steps.end());
    out.decodeMedianS = steps[steps.size() / 2];
    out.decodeWorstS = steps.back();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    out.peakRssBytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    return out;
}

}  // namespace carrel
