// sources_eval CARREL-PDF QUESTIONS.json FILE.pdf: how often one of a question's known pages is among the first three
// pages that word search names. Prints one line per miss, then the share.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "document/document.h"
#include "library/word_index.h"
#include "session/sources.h"

using namespace carrel;

namespace {

/// All text as read, one token a word: where pages were cut is all that chooseSources wants to know of them here.
std::vector<TextToken> wholeText(const Document& document) {
    return {{0, 0, static_cast<std::uint32_t>(document.text.size())}};
}

std::size_t rankOf(const std::vector<Source>& sources, const std::vector<std::uint32_t>& pages) {
    const auto found =
        std::ranges::find_if(sources, [&](const Source& s) { return std::ranges::count(pages, s.page) > 0; });
    return static_cast<std::size_t>(found - sources.begin());
}

double milliseconds(std::chrono::steady_clock::time_point since) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "usage: %s CARREL-PDF QUESTIONS.json FILE.pdf\n", argv[0]), 2;
    const auto document = readDocument(argv[3], {.pdfHelper = argv[1], .password = {}, .progress = {}, .stop = {}});
    if (!document) return std::fprintf(stderr, "%s: %s\n", argv[3], document.error().detail.c_str()), 1;
    std::ifstream file(argv[2]);
    const auto questions = nlohmann::json::parse(file, nullptr, false);
    if (!questions.is_array()) return std::fprintf(stderr, "%s: not a list of questions\n", argv[2]), 1;

    const auto start = std::chrono::steady_clock::now();
    auto index = WordIndex::build(*document);
    if (!index) return std::fprintf(stderr, "index: %s\n", index.error().detail.c_str()), 1;
    const double built = milliseconds(start);

    const auto tokens = wholeText(*document);
    std::size_t asked = 0, hits = 0;
    double reciprocal = 0, ranking = 0;
    for (const auto& question : questions) {
        if (!question.value("answerable", false)) continue;
        const auto begin = std::chrono::steady_clock::now();
        const auto ranked = index->rank(question["question"].get<std::string>(), index->windows().size());
        if (!ranked) return std::fprintf(stderr, "rank: %s\n", ranked.error().detail.c_str()), 1;
        const auto sources =
            chooseSources(*document, index->windows(), {tokens, 0}, {.question = *ranked, .answer = {}, .leaves = {}});
        ranking += milliseconds(begin);
        const std::size_t rank = rankOf(sources, question["pages"].get<std::vector<std::uint32_t>>());
        ++asked;
        hits += rank < 3;
        reciprocal += rank < sources.size() ? 1.0 / static_cast<double>(rank + 1) : 0;
        if (rank >= 3) std::printf("miss %s\n", question["id"].get<std::string>().c_str());
    }
    std::printf(
        "words: %zu of %zu, mean reciprocal rank %.3f; %zu windows indexed in %.0f ms, a question takes %.1f ms\n",
        hits, asked, asked ? reciprocal / static_cast<double>(asked) : 0, index->windows().size(), built,
        asked ? ranking / static_cast<double>(asked) : 0);
    return 0;
}
