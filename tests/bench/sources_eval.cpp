// sources_eval CARREL-PDF QUESTIONS.json FILE.pdf [MODEL.gguf DATA-FOLDER [ANSWERS.json]]: how often one of a
// question's known pages is among the first three sources, by words alone and, with a model, by what its answers show
// (words and attention); one line per miss, and an answer that shows none is one. Then of all answers, also those to
// questions that the document does not answer, how many show sources, and how many of these the right page.
// ANSWERS.json gets every answer with its sources and page shares.
#include <carrel/compute.h>
#include <carrel/library.h>

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

/// Counts what is found among the first three.
struct Score {
    const char* name;
    std::size_t asked = 0, hits = 0;
    double reciprocal = 0;

    void add(const nlohmann::json& question, const std::vector<Source>& sources) {
        const auto pages = question["pages"].get<std::vector<std::uint32_t>>();
        const auto found =
            std::ranges::find_if(sources, [&](const Source& s) { return std::ranges::count(pages, s.page) > 0; });
        const auto rank = static_cast<std::size_t>(found - sources.begin());
        ++asked;
        hits += rank < 3;
        reciprocal += found != sources.end() ? 1.0 / static_cast<double>(rank + 1) : 0;
        if (rank >= 3) std::printf("%s: miss %s\n", name, question["id"].get<std::string>().c_str());
    }
    void print() const {
        std::printf("%s: %zu of %zu, mean reciprocal rank %.3f\n", name, hits, asked,
                    asked ? reciprocal / static_cast<double>(asked) : 0);
    }
};

/// Waits for one answer at a time.
class Answers final : public EventSink {
  public:
    bool ended = false;
    Answer answer;
    void readingProgress(std::uint64_t, const ReadingProgress&) override {}
    void readingEnded(std::uint64_t, const Result<ReadingSummary>& summary) override {
        end(summary ? nullptr : &summary.error());
    }
    void turnStage(std::uint64_t, TurnStage) override {}
    void turnText(std::uint64_t, const std::string&) override {}
    void answered(std::uint64_t, const Answer& given) override { answer = given, end(nullptr); }
    void turnFailed(std::uint64_t, const Error& error) override { end(&error); }

  private:
    void end(const Error* error) {
        if (error) std::fprintf(stderr, "%s: %s\n", error->where.c_str(), error->detail.c_str());
        ended = true;
    }
};

/// Of answers to questions of one kind: how many show sources, and among them the right page.
struct Shown {
    std::size_t asked = 0, shown = 0, right = 0;

    void add(const nlohmann::json& question, const Answer& answer) {
        const auto pages = question.value("pages", std::vector<std::uint32_t>());
        ++asked;
        shown += !answer.sources.empty();
        right +=
            std::ranges::any_of(answer.sources, [&](const Source& s) { return std::ranges::count(pages, s.page) > 0; });
    }
};

nlohmann::json answerJson(const nlohmann::json& question, const Answer& answer) {
    nlohmann::json out = {{"id", question["id"]},
                          {"answer", answer.text},
                          {"provenance", static_cast<int>(answer.provenance)},
                          {"page_shares", answer.pageShares}};
    out["sources"] = nlohmann::json::array();
    for (const Source& source : answer.sources)
        out["sources"].push_back({{"page", source.page}, {"share", source.share}, {"quote", source.quote}});
    return out;
}

/// Asks every question in a chat of its own. Reading the document is done once for a data folder.
Status askAll(const nlohmann::json& questions, const std::filesystem::path& pdf, const std::filesystem::path& helper,
              const std::filesystem::path& model, const std::filesystem::path& data, Score& score, Shown (&kinds)[2],
              nlohmann::json& told) {
    auto library = Library::open({.dataDir = data, .pdfHelper = helper});
    if (!library) return library.error();
    const auto row = (*library)->add(pdf, {}, {}, {});
    if (!row) return row.error();
    Answers answers;
    ComputeOptions options;
    options.dataDir = data;
    options.pdfHelper = helper;
    auto compute = Compute::open(options, answers);
    if (!compute) return compute.error();
    if (auto loaded = (*compute)->loadModel(model); !loaded) return loaded.error();
    const auto run = [&] {
        answers.ended = false;
        while (!answers.ended && (*compute)->step()) {
        }
    };
    (*compute)->read({.ticket = 1, .document = row->sha256, .password = {}, .stop = {}});
    run();
    for (const auto& question : questions) {
        const auto chat = (*library)->newChat(row->sha256);
        if (!chat) return chat.error();
        TurnRequest request;
        request.ticket = 2;
        request.document = row->sha256;
        request.chat = chat->id;
        request.question = question["question"].get<std::string>();
        request.maxTokens = 64;
        answers.answer = {};
        (*compute)->ask(request);
        run();
        const bool answerable = question.value("answerable", false);
        if (answerable) score.add(question, answers.answer.sources);
        kinds[answerable].add(question, answers.answer);
        told.push_back(answerJson(question, answers.answer));
    }
    return {};
}

double milliseconds(std::chrono::steady_clock::time_point since) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 && argc != 6 && argc != 7)
        return std::fprintf(stderr,
                            "usage: %s CARREL-PDF QUESTIONS.json FILE.pdf [MODEL.gguf DATA-FOLDER [ANSWERS.json]]\n",
                            argv[0]),
               2;
    const auto document = readDocument(argv[3], {.pdfHelper = argv[1], .password = {}, .progress = {}, .stop = {}});
    if (!document) return std::fprintf(stderr, "%s: %s\n", argv[3], document.error().detail.c_str()), 1;
    std::ifstream file(argv[2]);
    auto questions = nlohmann::json::parse(file, nullptr, false);
    if (!questions.is_array()) return std::fprintf(stderr, "%s: not a list of questions\n", argv[2]), 1;

    const auto start = std::chrono::steady_clock::now();
    auto index = WordIndex::build(*document);
    if (!index) return std::fprintf(stderr, "index: %s\n", index.error().detail.c_str()), 1;
    std::printf("%zu windows indexed in %.0f ms\n", index->windows().size(), milliseconds(start));

    const auto tokens = wholeText(*document);
    Score words{"words"}, shown{"words and attention"};
    for (const auto& question : questions) {
        if (!question.value("answerable", false)) continue;
        const auto ranked = index->rank(question["question"].get<std::string>(), index->windows().size());
        if (!ranked) return std::fprintf(stderr, "rank: %s\n", ranked.error().detail.c_str()), 1;
        words.add(question, chooseSources(*document, index->windows(), {tokens, 0},
                                          {.question = *ranked, .answer = {}, .leaves = {}}));
    }
    words.print();
    if (argc == 4) return 0;
    nlohmann::json told = nlohmann::json::array();
    Shown kinds[2];  // the document does not answer; it does
    if (const auto asked = askAll(questions, argv[3], argv[1], argv[4], argv[5], shown, kinds, told); !asked)
        return std::fprintf(stderr, "%s: %s\n", asked.error().where.c_str(), asked.error().detail.c_str()), 1;
    shown.print();
    std::printf(
        "sources shown: %zu of %zu answers, the right page among them: %zu; of %zu unanswerable ones shown: %zu\n",
        kinds[0].shown + kinds[1].shown, kinds[0].asked + kinds[1].asked, kinds[1].right, kinds[0].asked,
        kinds[0].shown);
    if (argc == 7) std::ofstream(argv[6]) << told.dump(1) << '\n';
    return 0;
}
