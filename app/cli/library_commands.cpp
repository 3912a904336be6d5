#include <carrel/compute.h>
#include <carrel/library.h>
#include <carrel/pages.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <optional>

#include "commands.h"

using namespace carrel;
using nlohmann::json;

namespace {

std::filesystem::path helperOf(const Common& common) {
    return pdfHelperOf(common.program);
}

/// The person's quota is the window's to know: here only the disk's own room counts.
ComputeOptions computeOptions(const Common& common) {
    return {common.data, helperOf(common),           common.threads, common.isa,
            common.kv,   {.quotaBytes = UINT64_MAX}, common.backend, common.cudaPlugin};
}

/// Waits for what it asked and keeps it; progress goes to stderr.
class Waiter final : public EventSink {
  public:
    std::optional<Result<ReadingSummary>> reading;
    std::vector<std::optional<Result<Answer>>> answers;
    std::uint64_t tokensTotal = 0;

    void readingProgress(std::uint64_t, const ReadingProgress& p) override {
        tokensTotal = p.tokensTotal;
        std::string line =
            "reading: " + std::to_string(p.tokensDone) + " of " + std::to_string(p.tokensTotal) + " tokens";
        if (p.pagesTotal > 0) line += ", page " + std::to_string(p.pagesDone) + " of " + std::to_string(p.pagesTotal);
        if (p.tokensPerSecond > 0) line += ", " + std::to_string(std::lround(p.tokensPerSecond)) + " tokens/s";
        if (p.etaSeconds >= 0) line += ", " + std::to_string(std::lround(p.etaSeconds)) + " s left";
        progressLine(line);
    }
    void readingEnded(std::uint64_t, const Result<ReadingSummary>& summary) override { reading = summary; }
    void readingEvicted(const std::string& document, std::uint64_t bytes) override {
        progressLine("forgot what was read of " + document.substr(0, 12) +
                     " to make room: " + std::to_string(bytes >> 20) + " MiB");
    }
    void turnStage(std::uint64_t ticket, TurnStage stage) override {
        if (stage == TurnStage::ReadingQuestion) liveLine("reading question " + std::to_string(ticket + 1));
        if (stage == TurnStage::Answering) endLiveLine();
    }
    void turnText(std::uint64_t, const std::string& text) override {
        if (isatty(STDERR_FILENO) != 0) std::fputs(text.c_str(), stderr);
    }
    void answered(std::uint64_t ticket, const Answer& answer) override { end(ticket, answer); }
    void turnFailed(std::uint64_t ticket, const Error& error) override { end(ticket, error); }

  private:
    void end(std::uint64_t ticket, Result<Answer> result) {
        if (isatty(STDERR_FILENO) != 0) std::fputs("\n", stderr);
        answers[ticket] = std::move(result);
    }
};

/// A document of the library by its file or the beginning of its SHA-256; a file that is new is added.
Result<DocumentRow> resolve(const Common& common, Library& library, const std::string& name,
                            const std::string& password) {
    if (std::filesystem::exists(name)) {
        auto row = library.add(
            name, password,
            [](std::uint32_t done, std::uint32_t all) {
                liveLine("taking in page " + std::to_string(done) + " of " + std::to_string(all));
            },
            common.stop);
        if (!row) return row;
        if (row->state == DocumentState::NeedsPassword)
            return Error{password.empty() ? Code::NeedsPassword : Code::WrongPassword, name, row->reason};
        if (row->state == DocumentState::NoText) return Error{Code::NoText, name, row->reason};
        if (row->state == DocumentState::Refused) return Error{Code::NotADocument, name, row->reason};
        return row;
    }
    const auto rows = library.documents();
    if (!rows) return rows.error();
    std::optional<DocumentRow> found;
    for (const DocumentRow& row : *rows)
        if (name.size() >= 6 && row.sha256.starts_with(name)) {
            if (found) return Error{Code::InvalidArgument, name, "more than one document begins so"};
            found = row;
        }
    if (!found) return Error{Code::NotFound, name, "neither a file nor a document of the library"};
    return *found;
}

struct Session {
    std::unique_ptr<Library> library;
    Waiter waiter;
    std::unique_ptr<Compute> compute;
    DocumentRow document;
    ModelInfo model;
    Processor processor;
};

/// Library, document and model; nothing is read.
Status openLibrary(Session& session, const Common& common, const std::string& document, const std::string& password) {
    auto library = Library::open({common.data, helperOf(common)});
    if (!library) return library.error();
    session.library = std::move(*library);
    if (auto model = inspectModel(common.model); !model) return model.error();  // before the document is taken in
    auto row = resolve(common, *session.library, document, password);
    if (!row) return row.error();
    session.document = std::move(*row);
    auto compute = Compute::open(computeOptions(common), session.waiter);
    if (!compute) return compute.error();
    session.compute = std::move(*compute);
    auto loaded = session.compute->loadModel(common.model);
    if (!loaded) return loaded.error();
    session.model = std::move(*loaded);
    auto processor = session.compute->processor();
    if (!processor) return processor.error();
    session.processor = std::move(*processor);
    return {};
}

Status openSession(Session& session, const Common& common, const std::string& document, const std::string& password) {
    if (auto opened = openLibrary(session, common, document, password); !opened) return opened;
    session.compute->read({0, session.document.sha256, password, common.stop});
    while (!session.waiter.reading && session.compute->step()) {
    }
    endLiveLine();
    if (!*session.waiter.reading) return session.waiter.reading->error();
    return {};
}

std::string unreadText(const Coverage& c) {
    if (c.whole()) return {};
    if (c.pagesTotal == 0)
        return "Read " + std::to_string(c.tokensRead) + " of " + std::to_string(c.tokensTotal) +
               " tokens; the rest does not fit the model's window and was not used.\n";
    return "Read pages 1-" + std::to_string(c.pagesRead) + " of " + std::to_string(c.pagesTotal) + "; pages " +
           std::to_string(c.pagesRead + 1) + "-" + std::to_string(c.pagesTotal) + " were not used.\n";
}

json coverageJson(const Coverage& c) {
    return {
        {"pages_read", c.pagesRead}, {"pages", c.pagesTotal}, {"tokens_read", c.tokensRead}, {"tokens", c.tokensTotal}};
}

json sourceJson(const Source& source) {
    json out = {{"place", source.place}, {"page", source.page}, {"quote", source.quote}, {"share", source.share}};
    out["bytes"] = {source.span.first, source.span.count};
    return out;
}

}  // namespace

CommandResult readCommand(const Common& common, const std::string& document, const std::string& password) {
    Session session;
    if (auto opened = openSession(session, common, document, password); !opened) return opened.error();
    const ReadingSummary& got = **session.waiter.reading;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const std::uint64_t tokens = got.coverage.tokensRead, fresh = tokens - std::min(tokens, got.reusedTokens);
    Output out{{{"document", got.document},
                {"pages", got.coverage.pagesTotal},
                {"pages_read", got.coverage.pagesRead},
                {"pages_without_text", session.document.pagesWithoutText},
                {"tokens", tokens},
                {"tokens_total", got.coverage.tokensTotal},
                {"seconds", got.seconds},
                {"tokens_per_s", got.seconds > 0 ? static_cast<double>(fresh) / got.seconds : 0.0},
                {"kv_bytes_f16", got.kvBytesF16},
                {"disk_bytes", got.diskBytes},
                {"reused_tokens", got.reusedTokens},
                {"peak_rss_bytes", static_cast<std::uint64_t>(usage.ru_maxrss) * 1024}},
               session.document.title + ": " + std::to_string(tokens) + " tokens read, " +
                   std::to_string(got.reusedTokens) + " of them before.\n" + unreadText(got.coverage)};
    addProcessor(out.json, session.processor);
    return out;
}

CommandResult askCommand(const Common& common, const AskOptions& options) {
    Session session;
    if (auto opened = openSession(session, common, options.document, options.password); !opened) return opened.error();
    if (session.model.chatTemplate == "plain")
        std::fputs(
            "carrel-cli: The model's file has no chat template that Carrel knows; it is asked in a plain format.\n",
            stderr);
    session.waiter.answers.resize(options.questions.size());
    for (std::size_t i = 0; i < options.questions.size(); ++i)
        // A chat each: questions of a list do not know each other, and are answered together.
        session.compute->ask({i,
                              session.document.sha256,
                              options.password,
                              i == 0 ? "cli" : "cli-" + std::to_string(i),
                              {},
                              options.questions[i],
                              options.predict,
                              common.stop});
    while (session.compute->step()) {
    }

    Output out{{{"answers", json::array()}}, {}};
    TurnTimings timings;
    for (std::size_t i = 0; i < options.questions.size(); ++i) {
        const auto& got = *session.waiter.answers[i];
        if (!got) return got.error();
        json sources = json::array();
        out.text += (options.questions.size() > 1 ? options.questions[i] + "\n" : "") + got->text + "\n";
        for (const Source& source : got->sources) {
            sources.push_back(sourceJson(source));
            out.text += "  " + source.place + ": " + source.quote + "\n";
        }
        constexpr const char* kProvenance[] = {"shown", "unclear", "not-said"};
        if (got->provenance == Provenance::Unclear) out.text += "  Carrel cannot tell where this came from.\n";
        out.text += unreadText(got->coverage);
        out.json["answers"].push_back({{"question", options.questions[i]},
                                       {"answer", got->text},
                                       {"sources", std::move(sources)},
                                       {"provenance", kProvenance[static_cast<std::size_t>(got->provenance)]},
                                       {"coverage", coverageJson(got->coverage)},
                                       {"stopped", got->stopped}});
        if (i == 0) timings = got->timings;
    }
    out.json["template"] = session.model.chatTemplate;
    out.json["timings"] = {
        {"model_load_s", timings.modelLoadS},
        {"resume_s", (*session.waiter.reading)->reusedTokens > 0 ? (*session.waiter.reading)->seconds : 0.0},
        {"question_prefill_s", timings.questionPrefillS},
        {"first_token_s", timings.firstTokenS + (*session.waiter.reading)->seconds},
        {"decode_tokens_per_s", timings.decodeTokensPerS}};
    out.json["tiers"] = tiersJson((*session.waiter.answers.back())->tiers);
    addProcessor(out.json, session.processor);
    return out;
}

CommandResult inspectCommand(const Common& common, const std::string& document, const std::string& password) {
    Session session;
    if (auto opened = openSession(session, common, document, password); !opened) return opened.error();
    const auto view = session.compute->tiers(session.document.sha256);
    if (!view) return Error{Code::NotFound, document, "nothing of this document is read"};
    constexpr const char* kTiers[] = {"device", "host", "disk", "unused"};
    json layers = json::array();
    std::string text;
    for (const LeafRow& row : view->rows) {
        std::map<std::string, std::uint64_t> sizes, places;
        std::vector<std::uint32_t> chunks;  // tokens
        for (const LeafPlace& leaf : row.leaves) {
            if (leaf.startsChunk || chunks.empty()) chunks.push_back(0);
            chunks.back() += kViewTokens;
            places[kTiers[static_cast<std::size_t>(leaf.tier)]] += kViewTokens;
        }
        for (const std::uint32_t tokens : chunks) ++sizes[std::to_string(tokens)];
        layers.push_back({{"layer", row.layer},
                          {"head", row.head},
                          {"chunks", chunks.size()},
                          {"tokens_per_chunk", sizes},
                          {"tokens_per_tier", places}});
        text += "layer " + std::to_string(row.layer) + " head " + std::to_string(row.head) + ": " +
                std::to_string(chunks.size()) + " chunks, " + json(places).dump() + "\n";
    }
    const ReadingSummary& read = **session.waiter.reading;
    Output out{{{"document", read.document},
                {"layers", std::move(layers)},
                {"codec", view->report.codec},
                {"bytes_by_kind",
                 {{"keys_and_values", read.keyValueBytes},
                  {"sketch", read.sketchBytes},
                  {"headers", read.headerBytes},
                  {"f16", read.kvBytesF16}}},
                {"tiers", tiersJson(view->report)}},
               text};
    addProcessor(out.json, session.processor);
    return out;
}

CommandResult verifyCommand(const Common& common, const std::string& document, const std::string& password) {
    Session session;
    if (auto opened = openLibrary(session, common, document, password); !opened) return opened.error();
    const auto checked = session.compute->verify(session.document.sha256);
    if (!checked) return checked.error();
    Output out{{{"groups", checked->groups}, {"bad", checked->bad}, {"probe_ok", checked->probeOk}},
               std::to_string(checked->groups) + " groups, " + std::to_string(checked->bad) + " bad.\n"};
    addProcessor(out.json, session.processor);
    return out;
}

CommandResult listCommand(const Common& common) {
    const auto library = Library::open({common.data, helperOf(common)});
    if (!library) return library.error();
    const auto rows = (*library)->documents();
    if (!rows) return rows.error();
    Waiter waiter;
    const auto compute = Compute::open(computeOptions(common), waiter);
    if (!compute) return compute.error();
    constexpr const char* kStates[] = {"adding", "needs-password", "no-text", "refused", "ready"};
    Output out{json::array(), {}};
    for (const DocumentRow& row : *rows) {
        const auto stored = (*compute)->storedReadings(row.sha256);
        if (!stored) return stored.error();
        std::uint64_t tokens = 0, bytes = 0;
        for (const StoredReading& reading : *stored) {
            tokens = std::max<std::uint64_t>(tokens, reading.tokens);
            bytes += reading.diskBytes;
        }
        const std::string state = kStates[static_cast<std::size_t>(row.state)];
        out.json.push_back({{"document", row.sha256},
                            {"title", row.title},
                            {"pages", row.pages},
                            {"tokens", tokens},
                            {"disk_bytes", bytes},
                            {"state", state}});
        out.text += row.sha256.substr(0, 12) + "  " + row.title + "  (" + state + ", " + std::to_string(tokens) +
                    " tokens read)\n";
    }
    return out;
}

CommandResult forgetCommand(const Common& common, const std::string& name) {
    const auto library = Library::open({common.data, helperOf(common)});
    if (!library) return library.error();
    const auto row = resolve(common, **library, name, {});
    if (!row) return row.error();
    Waiter waiter;
    const auto compute = Compute::open(computeOptions(common), waiter);
    if (!compute) return compute.error();
    if (auto gone = (*compute)->forgetReadings(row->sha256); !gone) return gone.error();
    if (auto gone = (*library)->forget(row->sha256); !gone) return gone.error();
    return Output{{{"document", row->sha256}}, "Forgot " + row->title + ".\n"};
}

CommandResult findCommand(const Common& common, const std::string& words) {
    const auto library = Library::open({common.data, helperOf(common)});
    if (!library) return library.error();
    const auto hits = (*library)->find(words, {}, 20);
    if (!hits) return hits.error();
    Output out{json::array(), {}};
    for (const Hit& hit : *hits) {
        out.json.push_back({{"document", hit.document}, {"place", hit.place}, {"page", hit.page}, {"text", hit.text}});
        out.text += hit.document.substr(0, 12) + "  " + hit.place + ": " + hit.text + "\n";
    }
    return out;
}
