#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "session/sources.h"

using namespace carrel;

namespace {

// Six pages of forty sentences that differ by page and number; a token is a word with the space before it.
struct Fixture {
    Document document;
    std::vector<TextToken> tokens;
    std::vector<WordWindow> windows;
    static constexpr std::uint32_t kFirstPosition = 21;  // of the document's first token: within leaf 1

    explicit Fixture(DocumentKind kind = DocumentKind::Pdf, int pages = 6) {
        document.kind = kind;
        for (int page = 1; page <= pages; ++page) {
            const std::size_t first = document.text.size();
            for (int i = 0; i < 40; ++i)
                document.text +=
                    "Sentence " + std::to_string(i) + " stands on page number " + std::to_string(page) + ". ";
            Place& place = document.places.emplace_back();
            place.text = {first, document.text.size() - first};
            place.heading = kind == DocumentKind::Pdf ? "" : "Part " + std::to_string(page);
        }
        for (std::size_t at = 0; at < document.text.size();) {
            const std::size_t space = std::min(document.text.find(' ', at + 1), document.text.size());
            tokens.push_back({1, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(space - at)});
            at = space;
        }
        windows = wordWindows(document, 40, 20);
    }
    ReadTokens read() const { return {tokens, kFirstPosition}; }
    std::size_t leaves() const { return (kFirstPosition + tokens.size()) / kLeafTokens + 2; }
    std::size_t leafOf(std::size_t byte) const {
        const auto token =
            std::ranges::find_if(tokens, [&](const TextToken& t) { return t.first + t.count > byte; }) - tokens.begin();
        return (static_cast<std::size_t>(token) + kFirstPosition) / kLeafTokens;
    }
    std::size_t windowOf(std::size_t byte) const {
        for (std::size_t i = 0; i < windows.size(); ++i)
            if (windows[i].span.first <= byte && byte < windows[i].span.first + windows[i].span.count) return i;
        return windows.size();
    }
    std::vector<Source> choose(const SourceEvidence& evidence) const {
        return chooseSources(document, windows, read(), evidence);
    }
};

float sum(const std::vector<float>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0f);
}

}  // namespace

TEST_CASE("sinks, template and tail give no evidence, however much attention they draw") {
    const Fixture f;
    std::vector<float> mass(f.leaves(), 1.0f);
    mass[0] = mass[1] = 1000;  // leaf 1 holds the template's end
    mass[f.leaves() - 1] = mass[f.leaves() - 2] = 1000;
    mass[40] = 2;
    const auto evidence = attentionEvidence(mass, {}, f.read());
    CHECK(evidence.size() == mass.size());
    CHECK(evidence[40] == doctest::Approx(1));
    CHECK(sum(evidence) == doctest::Approx(1));
}

TEST_CASE("what a leaf always gets is no evidence") {
    const Fixture f;
    std::vector<float> mass(f.leaves(), 1.0f), baseline(f.leaves(), 10.0f);
    mass[10] = 50, baseline[10] = 500;  // a heading: looked at whatever is asked
    mass[40] = 3;
    const auto evidence = attentionEvidence(mass, baseline, f.read());
    CHECK(evidence[40] > 0.9f);
    CHECK(evidence[10] < 0.1f);
}

TEST_CASE("no mass, no leaves and no document are no evidence") {
    const Fixture f;
    CHECK(sum(attentionEvidence(std::vector<float>(f.leaves()), {}, f.read())) == 0);
    CHECK(attentionEvidence({}, {}, f.read()).empty());
    CHECK(sum(attentionEvidence(std::vector<float>(9, 1.0f), {}, {})) == 0);
    CHECK(f.choose({}).empty());
    CHECK(chooseSources(Document{}, {}, {}, {}).empty());
    CHECK(sum(attentionEvidence(std::vector<float>(f.leaves(), NAN), {}, f.read())) == 0);
}

TEST_CASE("attention on a leaf leads to its page, and to whole sentences around it") {
    const Fixture f;
    const std::size_t target = f.document.text.find("Sentence 17 stands on page number 4");
    std::vector<float> leaves(f.leaves());
    leaves[f.leafOf(target)] = 1;
    const auto sources = f.choose({.question = {}, .answer = {}, .leaves = leaves});
    REQUIRE(!sources.empty());
    const Source& source = sources.front();
    CHECK(source.page == 4);
    CHECK(source.place == "p. 4");
    CHECK(source.share == 1.0f);
    CHECK(source.quote == f.document.text.substr(source.span.first, source.span.count));
    CHECK(source.quote.find("Sentence 17 ") != std::string::npos);
    CHECK(source.quote.starts_with("Sentence"));
    CHECK(source.quote.ends_with("page number 4."));
}

TEST_CASE("sources are at most five, one a page, best first, and their shares make one") {
    const Fixture f;
    std::vector<RankedWindow> question;
    for (std::size_t i = 0; i < f.windows.size(); ++i)
        question.push_back({i, 100.0 - static_cast<double>(f.windows[i].place)});
    const auto sources = f.choose({.question = question, .answer = {}, .leaves = {}});
    REQUIRE(sources.size() == 5);
    float total = 0;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        CHECK(sources[i].page == i + 1);
        if (i > 0) CHECK(sources[i].share <= sources[i - 1].share);
        total += sources[i].share;
    }
    CHECK(total == doctest::Approx(1));
}

TEST_CASE("words and attention that agree outweigh either alone") {
    const Fixture f;
    const std::size_t both = f.document.text.find("Sentence 20 stands on page number 3");
    const std::size_t words = f.document.text.find("Sentence 20 stands on page number 1");
    const std::size_t attention = f.document.text.find("Sentence 20 stands on page number 5");
    const std::vector<RankedWindow> question = {{f.windowOf(words), 10}, {f.windowOf(both), 9}};
    std::vector<float> leaves(f.leaves());
    leaves[f.leafOf(attention)] = 0.5f;
    leaves[f.leafOf(both)] = 0.45f;
    const auto sources = f.choose({.question = question, .answer = {}, .leaves = leaves});
    REQUIRE(sources.size() == 3);
    CHECK(sources.front().page == 3);
}

TEST_CASE("nothing beyond what was read is a source") {
    Fixture f;
    std::vector<RankedWindow> question;
    for (std::size_t i = 0; i < f.windows.size(); ++i)
        question.push_back({i, 1 + static_cast<double>(f.windows[i].place)});
    const std::size_t pageThree = f.document.places[2].text.first;
    std::erase_if(f.tokens, [&](const TextToken& t) { return t.first >= pageThree; });
    const auto sources = f.choose({.question = question, .answer = {}, .leaves = {}});
    REQUIRE(sources.size() == 2);
    for (const Source& source : sources) CHECK(source.page <= 2);
}

TEST_CASE("a text without pages gives several places of one section, named by heading, that do not overlap") {
    const Fixture f(DocumentKind::Markdown, 1);
    std::vector<RankedWindow> question;
    for (std::size_t i = 0; i < f.windows.size(); ++i) question.push_back({i, 10.0});
    const auto sources = f.choose({.question = question, .answer = {}, .leaves = {}});
    REQUIRE(sources.size() > 1);
    for (const Source& source : sources) {
        CHECK(source.page == 0);
        CHECK(source.place == "Part 1");
        for (const Source& other : sources)
            if (&other != &source)
                CHECK((source.span.first + source.span.count <= other.span.first ||
                       other.span.first + other.span.count <= source.span.first));
    }
}

TEST_CASE("a quote is whole sentences around the one that was read most, and no longer than it may be") {
    Fixture f(DocumentKind::Pdf, 1);
    Document& document = f.document;
    document.text.clear();
    for (int i = 0; i < 30; ++i)
        document.text += "Number " + std::to_string(i) + " says e.g. that Mr. Smith owes\nhim " + std::to_string(i) +
                         ".50 marks for the " + std::string(40 + i, 'x') + " of it. ";
    document.places[0].text = {0, document.text.size()};
    f.tokens.clear();
    for (std::size_t at = 0; at < document.text.size();) {
        const std::size_t space = std::min(document.text.find_first_of(" \n", at + 1), document.text.size());
        f.tokens.push_back({1, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(space - at)});
        at = space;
    }
    f.windows = wordWindows(document, 40, 20);
    for (int i = 1; i < 29; ++i) {
        std::vector<float> leaves(f.leaves());
        leaves[f.leafOf(document.text.find(std::to_string(i) + ".50 marks"))] = 1;
        const auto sources = f.choose({.question = {}, .answer = {}, .leaves = leaves});
        REQUIRE(sources.size() == 1);
        const std::string& quote = sources[0].quote;
        CAPTURE(quote);
        CHECK(quote == document.text.substr(sources[0].span.first, sources[0].span.count));
        CHECK(quote.find(" " + std::to_string(i) + ".50 marks") != std::string::npos);
        CHECK(quote.starts_with("Number "));
        CHECK(quote.ends_with("of it."));
        CHECK(quote.size() <= 480);
    }
}

TEST_CASE("a quote at a page's edge leaves its header out, and a page of nothing else is no source") {
    Fixture f(DocumentKind::Pdf, 0);
    Document& document = f.document;
    for (int page = 1; page <= 4; ++page) {
        const std::string number = std::to_string(page);
        const std::string text =
            "The lease, of 2026\n\n" + (page == 2 ? "" : "Rent " + number + " is due.\n\nNo pets.\n\n") + number;
        document.places.push_back(
            {.text = {document.text.size(), text.size()}, .size = {}, .heading = {}, .words = {}});
        document.text += text;
    }
    for (std::size_t at = 0; at < document.text.size();) {
        const std::size_t end = std::min(document.text.find_first_of(" \n", at + 1), document.text.size());
        f.tokens.push_back({1, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end - at)});
        at = end;
    }
    f.windows = wordWindows(document, 40, 20);
    std::vector<RankedWindow> question;
    for (std::size_t i = 0; i < f.windows.size(); ++i) question.push_back({i, 10.0 - static_cast<double>(i)});
    const auto sources = f.choose({.question = question, .answer = {}, .leaves = {}});
    REQUIRE(sources.size() == 3);
    CHECK(sources[0].quote == "Rent 1 is due.\n\nNo pets.");
    CHECK(sources[1].quote == "Rent 3 is due.\n\nNo pets.");
}

TEST_CASE("of what has no sentences a quote is the part that was read, cut between words") {
    Fixture f(DocumentKind::Pdf, 1);
    Document& document = f.document;
    std::erase(document.text, '.');
    document.text.pop_back();
    document.places[0].text = {0, document.text.size()};
    REQUIRE(document.text.size() > 960);
    f.tokens.clear();
    for (std::size_t at = 0; at < document.text.size();) {
        const std::size_t space = std::min(document.text.find(' ', at + 1), document.text.size());
        f.tokens.push_back({1, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(space - at)});
        at = space;
    }
    f.windows = wordWindows(document, 40, 20);
    for (const char* words : {"Sentence 0 ", "Sentence 17 ", "Sentence 39 "}) {
        std::vector<float> leaves(f.leaves());
        leaves[f.leafOf(document.text.find(words))] = 1;
        const auto sources = f.choose({.question = {}, .answer = {}, .leaves = leaves});
        REQUIRE(!sources.empty());
        CHECK(sources[0].quote.find(words) != std::string::npos);
        CHECK(sources[0].quote.size() <= 480);
        CHECK(sources[0].quote.size() > 300);
        const std::uint64_t first = sources[0].span.first, end = first + sources[0].span.count;
        CHECK((first == 0 || document.text[first - 1] == ' '));
        CHECK((end == document.text.size() || document.text[end] == ' '));
    }
}

TEST_CASE("page shares are the evidence of each page's leaves, a leaf on two pages split by its bytes") {
    const Fixture f;
    std::vector<float> leaves(f.leaves());
    leaves[f.leafOf(f.document.text.find("Sentence 20 stands on page number 2"))] = 0.2f;
    leaves[f.leafOf(f.document.text.find("Sentence 20 stands on page number 5"))] = 0.6f;
    auto shares = pageShares(f.document, f.read(), leaves);
    REQUIRE(shares.size() == 6);
    CHECK(shares[1] == doctest::Approx(0.25));
    CHECK(shares[4] == doctest::Approx(0.75));
    CHECK(sum(shares) == doctest::Approx(1));
    leaves.assign(leaves.size(), 0);
    leaves[f.leafOf(f.document.places[3].text.first - 1)] = 1;  // it goes on in page 4, or ends with page 3
    shares = pageShares(f.document, f.read(), leaves);
    CHECK(shares[2] + shares[3] == doctest::Approx(1));
    CHECK(shares[2] > 0);
    CHECK(pageShares(f.document, f.read(), std::vector<float>(f.leaves())).empty());
    CHECK(pageShares(Fixture(DocumentKind::Markdown, 1).document, f.read(), leaves).empty());
    // Nobody knows of pages that were not read.
    leaves.assign(leaves.size(), 1);
    shares = pageShares(f.document, {std::span(f.tokens).first(f.tokens.size() / 3), Fixture::kFirstPosition}, leaves);
    CHECK(shares[0] > 0.4f);
    CHECK(shares[3] + shares[4] + shares[5] == 0);
}
