#include <carrel/lab.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "commands.h"

using namespace carrel;
using nlohmann::json;

namespace {

Result<std::string> fileText(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    if (!in || !(text << in.rdbuf()).good()) {
        if (in && in.peek() == std::ifstream::traits_type::eof()) return std::string();
        return Error{Code::NotFound, path.string(), "the file cannot be read"};
    }
    return text.str();
}

/// The JSON in a file as T; anything else is the person's mistake, named.
template <class T>
Result<T> fileJson(const std::filesystem::path& path, const char* wanted) {
    const auto text = fileText(path);
    if (!text) return text.error();
    const json parsed = json::parse(*text, nullptr, false);
    if (!parsed.is_array())
        return Error{Code::InvalidArgument, path.string(), std::string("not a JSON list of ") + wanted};
    T out;
    for (const json& item : parsed) {
        using Item = typename T::value_type;
        const bool fits = std::is_same_v<Item, std::string> ? item.is_string() : item.is_number_integer();
        if (!fits) return Error{Code::InvalidArgument, path.string(), std::string("not a JSON list of ") + wanted};
        out.push_back(item.get<Item>());
    }
    return out;
}

std::string idText(const std::vector<std::int32_t>& ids) {
    std::string out;
    for (const auto id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
    return out + "\n";
}

Result<std::unique_ptr<Lab>> openLab(const Common& common, const std::filesystem::path& scratch) {
    return Lab::open(
        {common.model, common.threads, common.isa, common.kv, common.data, scratch, common.backend, common.cudaPlugin});
}

Output output(const Lab& lab, json result, std::string text) {
    addProcessor(result, lab.processor());
    return {std::move(result), std::move(text)};
}
/// For people, the same.
Output output(const Lab& lab, json result) {
    addProcessor(result, lab.processor());
    return {result, result.dump(2) + "\n"};
}

/// Where a measurement's readings lie: the folder given, or one of its own that goes with it.
class Scratch {
  public:
    explicit Scratch(std::filesystem::path kept)
        : kept_(!kept.empty()),
          folder_(kept_ ? std::move(kept)
                        : std::filesystem::temp_directory_path() / ("carrel-lab-" + std::to_string(getpid()))) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        if (!kept_) std::filesystem::remove_all(folder_, ignored);
    }
    const std::filesystem::path& folder() const { return folder_; }

  private:
    bool kept_;
    std::filesystem::path folder_;
};

/// "codec=f16,prefill=dense" to the codec.
Result<std::string> referenceCodec(const std::string& reference) {
    std::string codec;
    std::stringstream parts(reference);
    for (std::string part; std::getline(parts, part, ',');) {
        if (part.starts_with("codec="))
            codec = part.substr(6);
        else if (part != "prefill=dense")
            return Error{Code::InvalidArgument, reference, "a reference is told by codec= and prefill=dense"};
    }
    return codec;
}

}  // namespace

CommandResult tokenizeCommand(const Common& common, const std::filesystem::path& file,
                              const std::filesystem::path& texts) {
    if (!texts.empty()) {
        const auto list = fileJson<std::vector<std::string>>(texts, "texts");
        if (!list) return list.error();
        const auto ids = tokenizeTexts(common.model, *list);
        if (!ids) return ids.error();
        Output out{{{"ids", *ids}}, {}};
        for (const auto& one : *ids) out.text += idText(one);
        return out;
    }
    const auto text = fileText(file);
    if (!text) return text.error();
    const auto ids = tokenizeTexts(common.model, {*text});
    if (!ids) return ids.error();
    return Output{{{"ids", ids->front()}}, idText(ids->front())};
}

CommandResult generateCommand(const Common& common, const std::filesystem::path& file, std::uint32_t predict) {
    const auto text = fileText(file);
    if (!text) return text.error();
    const auto lab = openLab(common, {});
    if (!lab) return lab.error();
    const auto got = (*lab)->generate(*text, predict, common.stop);
    if (!got) return got.error();
    return output(**lab,
                  {{"ids", got->ids},
                   {"text", got->text},
                   {"prefill_tokens_per_s", got->prefillTokensPerS},
                   {"decode_tokens_per_s", got->decodeTokensPerS}},
                  got->text + "\n");
}

CommandResult logitsCommand(const Common& common, const std::filesystem::path& file, std::uint32_t top,
                            std::uint32_t last) {
    const auto ids = fileJson<std::vector<std::int32_t>>(file, "token ids");
    if (!ids) return ids.error();
    const auto lab = openLab(common, {});
    if (!lab) return lab.error();
    const auto rows = (*lab)->logits(*ids, top, last);
    if (!rows) return rows.error();
    json positions = json::array();
    std::string lines;
    for (const auto& row : *rows) {
        json best = json::array();
        for (const auto& [id, logprob] : row.top) best.push_back({id, logprob});
        lines += std::to_string(row.position) + ": " + best.dump() + "\n";
        positions.push_back({{"pos", row.position}, {"top", std::move(best)}});
    }
    return output(**lab, {{"positions", std::move(positions)}}, std::move(lines));
}

CommandResult perplexityCommand(const Common& common, const std::filesystem::path& file, std::uint32_t context,
                                std::uint32_t windows) {
    const auto text = fileText(file);
    if (!text) return text.error();
    const auto lab = openLab(common, {});
    if (!lab) return lab.error();
    const auto got = (*lab)->perplexity(*text, context, windows, common.stop);
    if (!got) return got.error();
    return output(**lab, {{"ppl", got->perplexity}, {"nll", got->nll}, {"tokens", got->tokens}},
                  "perplexity " + std::to_string(got->perplexity) + "\n");
}

CommandResult benchCommand(const Common& common, const std::filesystem::path& file, std::uint32_t tokens,
                           std::uint32_t batch, std::uint32_t predict, const std::filesystem::path& kept) {
    const auto text = fileText(file);
    if (!text) return text.error();
    const Scratch scratch(kept);
    const auto lab = openLab(common, scratch.folder());
    if (!lab) return lab.error();
    const auto row = (*lab)->bench(*text, tokens, batch, predict, common.stop);
    if (!row) return row.error();
    const json out = {{"tokens", row->tokens},
                      {"batch", row->batch},
                      {"kv_type", row->tiers.codec},
                      {"persisted", true},
                      {"reused_tokens", row->reusedTokens},
                      {"prefill_tokens_per_s", row->prefillTokensPerS},
                      {"prefill_unpersisted_tokens_per_s", row->prefillUnpersistedTokensPerS},
                      {"decode_tokens_per_s", row->decodeTokensPerS},
                      {"decode_step_median_s", row->decodeMedianS},
                      {"decode_step_worst_s", row->decodeWorstS},
                      {"first_token_s", row->firstTokenS},
                      {"end_to_end_128_s", row->endToEnd128S},
                      {"kv_bytes_f16", row->kvBytesF16},
                      {"disk_bytes", row->diskBytes},
                      {"peak_rss_bytes", row->peakRssBytes},
                      {"tiers", tiersJson(row->tiers)}};
    return output(**lab, {{"rows", json::array({out})}}, out.dump(2) + "\n");
}

CommandResult compareCommand(const Common& common, const CompareOptions& options) {
    const auto text = fileText(options.file);
    if (!text) return text.error();
    const auto codec = referenceCodec(options.reference);
    if (!codec) return codec.error();
    const Scratch scratch(options.kept);
    const auto lab = openLab(common, scratch.folder());
    if (!lab) return lab.error();
    const auto got = (*lab)->compare(*text, options.tokens, options.probes, *codec, common.stop);
    if (!got) return got.error();
    const json out = {{"kld_mean", got->kldMean},
                      {"kld_p99", got->kldP99},
                      {"top1_agreement", got->topAgreement},
                      {"clear_flips", got->clearFlips},
                      {"ppl_reference", got->perplexityReference},
                      {"ppl", got->perplexity},
                      {"probes", got->probes},
                      {"tokens_read_share", got->tiers.tokensReadShare},
                      {"tiers", tiersJson(got->tiers)}};
    return output(**lab, out);
}

CommandResult profileCommand(const Common& common, const CompareOptions& options) {
    const auto text = fileText(options.file);
    if (!text) return text.error();
    const Scratch scratch(options.kept);
    const auto lab = openLab(common, scratch.folder());
    if (!lab) return lab.error();
    const auto got = (*lab)->profile(*text, options.tokens, options.probes, common.stop);
    if (!got) return got.error();
    const json out = {{"file", got->file.string()}, {"tokens_read_share", got->readShare},
                      {"kld_plain", got->kldPlain}, {"kld_estimated", got->kldEstimated},
                      {"gain", got->gain},          {"gain_error", got->gainError},
                      {"estimate", got->estimate}};
    return output(**lab, out);
}
