#include "session/provenance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>

namespace carrel {

namespace {

// Less of an answer's words in any of the quotes: nothing is shown. Chosen on policy-42p, checked on policy-8p
// (tests/bench/RESULTS.md).
constexpr double kLeastSupport = 0.25;

std::uint64_t overlapOf(ByteSpan a, ByteSpan b) {
    const std::uint64_t first = std::max(a.first, b.first), end = std::min(a.first + a.count, b.first + b.count);
    return end > first ? end - first : 0;
}

/// Windows of which at least half is in the quote, or that hold it.
std::vector<bool> windowsOf(const std::vector<WordWindow>& windows, ByteSpan quote) {
    std::vector<bool> in(windows.size());
    for (std::size_t i = 0; i < windows.size(); ++i)
        in[i] =
            2 * overlapOf(windows[i].span, quote) >= std::min(windows[i].span.count, quote.count) && quote.count > 0;
    return in;
}

using Words = std::span<const std::string_view>;

bool isOneOf(std::string_view word, Words list) {
    return std::ranges::find(list, word) != list.end();
}

constexpr std::array<std::string_view, 10> kSubjects = {"document", "text",    "manual",  "passage", "context",
                                                        "excerpt",  "article", "section", "report",  "information"};
constexpr std::array<std::string_view, 9> kAdverbs = {"explicitly", "specifically", "directly", "clearly", "actually",
                                                      "appear",     "seem",         "to",       "really"};
constexpr std::array<std::string_view, 17> kTells = {"say",     "tell",    "mention",  "specify", "state",  "provide",
                                                     "contain", "give",    "describe", "include", "answer", "indicate",
                                                     "address", "discuss", "name",     "define",  "cover"};
constexpr std::array<std::string_view, 14> kTold = {"said",      "told",     "mentioned", "specified", "stated",
                                                    "provided",  "given",    "described", "found",     "contained",
                                                    "indicated", "included", "discussed", "available"};
constexpr std::array<std::string_view, 3> kCannot = {"cannot", "can't", "couldn't"};
constexpr std::array<std::string_view, 5> kLookFor = {"find", "answer", "determine", "tell", "locate"};

/// Small letters, apostrophes straight, of the first words: what an answer denies it denies at once.
std::vector<std::string> firstWords(std::string_view text, std::size_t most) {
    std::vector<std::string> words(1);
    for (std::size_t i = 0; i < text.size() && words.size() <= most; ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (text.substr(i).starts_with("’")) {
            words.back() += '\'';
            i += std::string_view("’").size() - 1;
        } else if ((c >= 'a' && c <= 'z') || c == '\'' || c >= 0x80) {
            words.back() += static_cast<char>(c);
        } else if (c >= 'A' && c <= 'Z') {
            words.back() += static_cast<char>(c - 'A' + 'a');
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

class Reader {
  public:
    explicit Reader(const std::vector<std::string>& words, std::size_t at) : words_(words), at_(at) {}
    bool take(Words list) {
        const bool is = at_ < words_.size() && isOneOf(words_[at_], list);
        at_ += is;
        return is;
    }
    bool take(std::string_view word) { return take(Words(&word, 1)); }
    void skip(Words list) {
        while (take(list)) {
        }
    }
    bool soon(Words list, std::size_t within) const {
        for (std::size_t i = at_; i < std::min(words_.size(), at_ + within); ++i)
            if (isOneOf(words_[i], list)) return true;
        return false;
    }

  private:
    const std::vector<std::string>& words_;
    std::size_t at_;
};

bool deniesAt(const std::vector<std::string>& words, std::size_t at) {
    constexpr std::array<std::string_view, 3> kDoes = {"does", "do", "did"};
    constexpr std::array<std::string_view, 3> kDoesNot = {"doesn't", "don't", "didn't"};
    constexpr std::array<std::string_view, 3> kIsNot = {"not", "isn't", "aren't"};
    Reader subject(words, at);  // "the document does not say"
    if (subject.take(kSubjects)) {
        const bool negated = subject.take(kDoesNot) || (subject.take(kDoes) && subject.take("not"));
        subject.skip(kAdverbs);
        if (negated && subject.take(kTells)) return true;
    }
    Reader passive(words, at);  // "is not mentioned in the given text"
    if (passive.take(kIsNot)) {
        passive.skip(kAdverbs);
        if (passive.take(kTold) && passive.soon(kSubjects, 5)) return true;
    }
    Reader none(words, at);  // "there is no information about it in the text"
    if (none.take("no") && (none.take("information") || none.take("mention"))) return true;
    Reader person(words, at);  // "I cannot find"
    if (person.take("i") || person.take("we")) {
        constexpr std::array<std::string_view, 2> kCan = {"can", "could"};
        const bool cannot = person.take(kCannot) || (person.take(kCan) && person.take("not"));
        person.skip(kAdverbs);
        if (cannot && person.take(kLookFor)) return true;
    }
    Reader ignorant(words, at);
    return ignorant.take("i") && (ignorant.take("don't") || (ignorant.take("do") && ignorant.take("not"))) &&
           (ignorant.take("know") || ignorant.take("have"));
}

}  // namespace

Result<double> wordSupport(WordIndex& words, std::string_view answer, const std::vector<Source>& sources) {
    const auto occurrences = words.occurrences(answer);
    if (!occurrences) return occurrences.error();
    const auto windows = static_cast<double>(words.windows().size());
    double best = 0;
    for (const Source& source : sources) {
        const auto in = windowsOf(words.windows(), source.span);
        double found = 0, all = 0;
        for (const auto& places : *occurrences) {
            const double weight = std::log(1 + windows / (0.5 + static_cast<double>(places.size())));
            all += weight;
            if (std::ranges::any_of(places, [&](std::size_t window) { return in[window]; })) found += weight;
        }
        best = std::max(best, all > 0 ? found / all : 1.0);
    }
    return best;
}

bool saysNothingIsSaid(std::string_view answer) {
    const auto words = firstWords(answer, 40);
    for (std::size_t at = 0; at < words.size(); ++at)
        if (deniesAt(words, at)) return true;
    return false;
}

Provenance provenanceOf(WordIndex& words, std::string_view answer, const std::vector<Source>& sources) {
    if (saysNothingIsSaid(answer)) return Provenance::NotSaid;
    const auto support = wordSupport(words, answer, sources);
    return support && *support >= kLeastSupport ? Provenance::Shown : Provenance::Unclear;
}

}  // namespace carrel
