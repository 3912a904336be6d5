#include "session/sources.h"

#include <algorithm>
#include <numeric>

#include "document/page_body.h"
#include "document/sentences.h"
#include "document/utf8.h"

namespace carrel {

namespace {

constexpr std::size_t kMaxSources = 5;
constexpr std::uint64_t kQuoteBytes = 480;     // of several sentences together
constexpr std::uint64_t kSentenceBytes = 960;  // of one: what is longer is no running text

// Weights of the three kinds of evidence, each scaled to a best window of 1. Words and attention miss different
// questions; an answer's words mostly repeat what attention says, and mislead where the answer is wrong.
// tests/bench/sources_eval.cpp measures the result.
constexpr float kQuestionWeight = 1.0f;
constexpr float kAnswerWeight = 0.25f;
constexpr float kAttentionWeight = 1.0f;

std::uint64_t endOf(ByteSpan span) {
    return span.first + span.count;
}

bool overlap(ByteSpan a, ByteSpan b) {
    return a.first < endOf(b) && b.first < endOf(a);
}

/// Bytes of the document that leaf i covers; empty where it holds none of its tokens.
ByteSpan bytesOfLeaf(std::size_t leaf, const ReadTokens& read) {
    const std::uint64_t first = std::max<std::uint64_t>(leaf * kLeafTokens, read.firstPosition) - read.firstPosition;
    const std::uint64_t end = (leaf + 1) * kLeafTokens;
    const std::uint64_t last =
        std::min<std::uint64_t>(end > read.firstPosition ? end - read.firstPosition : 0, read.tokens.size());
    if (first >= last) return {};
    const TextToken& from = read.tokens[first];
    const TextToken& to = read.tokens[last - 1];
    return {from.first, std::uint64_t{to.first} + to.count - from.first};
}

void scaleToBestOfOne(std::vector<float>& scores) {
    const float best = scores.empty() ? 0 : *std::ranges::max_element(scores);
    if (best <= 0) return;
    for (float& score : scores) score /= best;
}

void addWords(std::vector<float>& total, std::span<const RankedWindow> ranked, float weight) {
    std::vector<float> scores(total.size());
    for (const auto& [window, score] : ranked) {
        if (window < scores.size()) scores[window] = static_cast<float>(score);
    }
    scaleToBestOfOne(scores);
    for (std::size_t i = 0; i < total.size(); ++i) total[i] += weight * scores[i];
}

/// Each leaf's evidence goes to the windows it lies in, in proportion to its bytes there.
std::vector<float> attentionOfWindows(std::span<const WordWindow> windows, std::span<const float> leaves,
                                      const ReadTokens& read) {
    std::vector<float> scores(windows.size());
    std::size_t from = 0;
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
        if (!(leaves[leaf] > 0)) continue;
        const ByteSpan bytes = bytesOfLeaf(leaf, read);
        if (bytes.count == 0) continue;
        while (from < windows.size() && endOf(windows[from].span) <= bytes.first) ++from;
        for (std::size_t i = from; i < windows.size() && windows[i].span.first < endOf(bytes); ++i) {
            const ByteSpan window = windows[i].span;
            const auto shared = std::min(endOf(window), endOf(bytes)) - std::max(window.first, bytes.first);
            if (overlap(window, bytes))
                scores[i] += leaves[leaf] * static_cast<float>(shared) / static_cast<float>(bytes.count);
        }
    }
    return scores;
}

/// Of each span the leaves' evidence that lies in it, or where there is none, how much of `window` does.
std::vector<double> weightsOf(const std::vector<ByteSpan>& spans, ByteSpan window, std::span<const float> leaves,
                              const ReadTokens& read) {
    std::vector<double> weights(spans.size());
    const auto add = [&](ByteSpan part, double weight) {
        for (std::size_t i = 0; i < spans.size(); ++i)
            if (overlap(spans[i], part))
                weights[i] +=
                    weight *
                    static_cast<double>(std::min(endOf(spans[i]), endOf(part)) - std::max(spans[i].first, part.first)) /
                    static_cast<double>(part.count);
    };
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
        const ByteSpan bytes = leaves[leaf] > 0 ? bytesOfLeaf(leaf, read) : ByteSpan{};
        if (bytes.count > 0) add(bytes, leaves[leaf]);
    }
    if (std::ranges::all_of(weights, [](double w) { return w == 0; })) add(window, 1);
    return weights;
}

/// What of a very long sentence is shown: around the middle of `window`, cut between words where there are any.
ByteSpan cutSentence(const Document& document, ByteSpan sentence, ByteSpan window) {
    const std::string& text = document.text;
    const std::uint64_t middle = window.first + window.count / 2;
    std::uint64_t first =
        std::clamp(middle - std::min(middle, kQuoteBytes / 2), sentence.first, endOf(sentence) - kQuoteBytes);
    std::uint64_t end = first + kQuoteBytes;
    const auto isBlank = [&](std::uint64_t at) { return text[at] == ' ' || text[at] == '\n'; };
    const std::uint64_t nearFirst = std::min(end, first + 40), nearEnd = end - 40;
    while (first > sentence.first && first < nearFirst && !isBlank(first - 1)) ++first;
    while (end < endOf(sentence) && end > nearEnd && !isBlank(end)) --end;
    while (first < end && !isBoundary(text, first)) ++first;
    while (end > first && !isBoundary(text, end)) --end;
    while (end > first && isBlank(end - 1)) --end;
    return {first, end - first};
}

/// The sentences of `place` that the window touches, as many as a quote may hold around the one that weighs most.
ByteSpan quoteAt(const Document& document, const WordWindow& window, ByteSpan place, const SentenceFinder& finder,
                 std::span<const float> leaves, const ReadTokens& read) {
    const std::uint64_t readEnd = std::uint64_t{read.tokens.back().first} + read.tokens.back().count;
    std::vector<ByteSpan> touched;
    for (ByteSpan sentence : finder.find(std::string_view(document.text).substr(place.first, place.count))) {
        sentence.first += place.first;
        if (overlap(sentence, window.span) && endOf(sentence) <= readEnd) touched.push_back(sentence);
    }
    if (touched.empty()) return window.span;
    const auto weights = weightsOf(touched, window.span, leaves, read);
    std::size_t first = static_cast<std::size_t>(std::ranges::max_element(weights) - weights.begin()), last = first;
    if (touched[first].count > kSentenceBytes) return cutSentence(document, touched[first], window.span);
    const auto fits = [&](std::size_t from, std::size_t to) {
        return endOf(touched[to]) - touched[from].first <= kQuoteBytes;
    };
    while (true) {
        const bool before = first > 0 && fits(first - 1, last),
                   after = last + 1 < touched.size() && fits(first, last + 1);
        if (!before && !after) break;
        if (before && (!after || weights[first - 1] > weights[last + 1]))
            --first;
        else
            ++last;
    }
    return {touched[first].first, endOf(touched[last]) - touched[first].first};
}

Source sourceAt(const Document& document, const WordWindow& window, ByteSpan quote, float score) {
    Source source;
    source.place = placeName(document, window.place);
    source.page = document.hasPages() ? static_cast<std::uint32_t>(window.place + 1) : 0;
    source.span = quote;
    source.quote = document.text.substr(source.span.first, source.span.count);
    source.boxes = document.boxesOf(source.span);
    source.share = score;
    return source;
}

}  // namespace

std::vector<float> attentionEvidence(std::span<const float> mass, std::span<const float> baseline,
                                     const ReadTokens& read) {
    std::vector<float> evidence(mass.size());
    // Position 0 draws attention whatever is asked, and so does the template: leaves that hold any of it are left out.
    const std::size_t first = std::max<std::size_t>(1, (read.firstPosition + kLeafTokens - 1) / kLeafTokens);
    const std::size_t end = std::min(mass.size(), (read.firstPosition + read.tokens.size()) / kLeafTokens);
    if (first >= end) return evidence;
    const auto shareOf = [&](std::span<const float> values, std::size_t leaf, double sum) {
        return sum > 0 ? values[leaf] / sum : 1.0 / static_cast<double>(end - first);
    };
    const auto sumOf = [&](std::span<const float> values) {
        return values.size() < end ? 0.0
                                   : std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(first),
                                                     values.begin() + static_cast<std::ptrdiff_t>(end), 0.0);
    };
    const double massSum = sumOf(mass);
    const double baselineSum = sumOf(baseline);
    if (!(massSum > 0)) return evidence;
    double total = 0;
    for (std::size_t leaf = first; leaf < end; ++leaf) {
        const double excess = shareOf(mass, leaf, massSum) - shareOf(baseline, leaf, baselineSum);
        evidence[leaf] = static_cast<float>(std::max(0.0, excess));
        total += evidence[leaf];
    }
    if (total > 0) {
        for (float& leaf : evidence) leaf = static_cast<float>(leaf / total);
    }
    return evidence;
}

std::vector<float> pageShares(const Document& document, const ReadTokens& read, std::span<const float> leaves) {
    std::vector<float> shares(document.hasPages() ? document.places.size() : 0);
    for (std::size_t leaf = 0; leaf < leaves.size() && !shares.empty(); ++leaf) {
        const ByteSpan bytes = leaves[leaf] > 0 ? bytesOfLeaf(leaf, read) : ByteSpan{};
        for (std::uint64_t at = bytes.first; at < endOf(bytes);) {  // a leaf may lie on several pages
            const std::size_t page = document.placeOf(at);
            std::uint64_t end = endOf(bytes);
            if (page + 1 < shares.size()) end = std::min(end, std::max(at + 1, document.places[page + 1].text.first));
            shares[page] += leaves[leaf] * static_cast<float>(end - at) / static_cast<float>(bytes.count);
            at = end;
        }
    }
    const float sum = std::accumulate(shares.begin(), shares.end(), 0.0f);
    if (!(sum > 0)) return {};
    for (float& share : shares) share /= sum;
    return shares;
}

std::vector<Source> chooseSources(const Document& document, std::span<const WordWindow> windows, const ReadTokens& read,
                                  const SourceEvidence& evidence) {
    const std::uint64_t readBytes =
        read.tokens.empty() ? 0 : std::uint64_t{read.tokens.back().first} + read.tokens.back().count;
    std::vector<float> scores = attentionOfWindows(windows, evidence.leaves, read);
    scaleToBestOfOne(scores);
    for (float& score : scores) score *= kAttentionWeight;
    addWords(scores, evidence.question, kQuestionWeight);
    addWords(scores, evidence.answer, kAnswerWeight);

    std::vector<std::size_t> order(windows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });

    const SentenceFinder finder;
    std::vector<Source> sources;
    for (const std::size_t i : order) {
        if (sources.size() == kMaxSources || !(scores[i] > 0)) break;
        if (endOf(windows[i].span) > readBytes) continue;
        const ByteSpan body = pageBody(document, windows[i].place);
        if (body.count == 0) continue;  // a header that is on other pages, too
        const ByteSpan quote = quoteAt(document, windows[i], body, finder, evidence.leaves, read);
        Source source = sourceAt(document, windows[i], quote, scores[i]);
        const bool listed = std::ranges::any_of(sources, [&](const Source& other) {
            return source.page != 0 ? source.page == other.page : overlap(source.span, other.span);
        });
        if (!listed) sources.push_back(std::move(source));
    }
    const float sum = std::accumulate(sources.begin(), sources.end(), 0.0f,
                                      [](float s, const Source& source) { return s + source.share; });
    for (Source& source : sources) source.share /= sum;
    return sources;
}

}  // namespace carrel
