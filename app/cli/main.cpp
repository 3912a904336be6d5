#include <carrel/cuda.h>
#include <carrel/data_folder.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <thread>

#include "commands.h"

namespace {

/// SIGINT as a stop token: a thread waits for the signal, so that no code runs in a signal handler. A second one ends
/// the process.
class Interrupt {
  public:
    Interrupt() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        std::thread([this] {
            int got = 0;
            sigwait(&signals_, &got);
            source_.request_stop();
            sigwait(&signals_, &got);
            std::_Exit(5);
        }).detach();
    }
    std::stop_token token() const { return source_.get_token(); }

  private:
    sigset_t signals_{};
    std::stop_source source_;
};

int finish(const Common& common, const CommandResult& result) {
    endLiveLine();
    if (result) {
        std::fputs(common.json
                       ? (result->json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n").c_str()
                       : result->text.c_str(),
                   stdout);
        return 0;
    }
    std::fprintf(stderr, "carrel-cli: %s\n", sentence(result.error()).c_str());
    if (common.json)
        std::puts(
            nlohmann::json{{"error", {{"code", codeName(result.error().code)}, {"detail", sentence(result.error())}}}}
                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                .c_str());
    return exitCode(result.error());
}

}  // namespace

int main(int argc, char** argv) {
    static Interrupt interrupt;  // its thread outlives main's locals
    Common common;
    common.program = std::filesystem::read_symlink("/proc/self/exe");
    common.cudaPlugin = carrel::cudaPluginFor(common.program);
    common.model = defaultModel();
    common.stop = interrupt.token();
    CLI::App app{"Carrel without a window: private, offline questions to long documents."};
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--model", common.model, "a GGUF file");
    app.add_option("--data", common.data, "the data folder");
    app.add_option("--threads", common.threads, "0: one per core")->check(CLI::Range(0u, 256u));
    app.add_option("--isa", common.isa)->check(CLI::IsMember({"scalar", "avx2", "avx512"}));
    app.add_flag("--json", common.json, "one JSON object on stdout");
    std::string backend = "auto", prefill = "dense", judge = "sketch", rule;
    std::vector<std::string> off, on;
    std::uint64_t deviceMib = 0, hostMib = 0;
    app.add_option("--backend", backend, "auto: an NVIDIA GPU that passes its check, or else the processor")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    app.add_option("--prefill", prefill)->check(CLI::IsMember({"dense"}));  // others are refused by name
    app.add_option("--codec", common.kv.codec, "how KV is stored")
        ->check(CLI::IsMember({"f16", "k8v8", "k8v6", "k8v4"}));
    app.add_option("--keep", common.kv.keep, "share of the KV read in a layer; 1: all; without it: what matters")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--threshold", common.kv.threshold, "share of a head's attention above which a token is read")
        ->check(CLI::Range(1e-9, 1.0));
    app.add_option("--leaf-threshold", common.kv.leafThreshold,
                   "the same of 16 tokens together, where KV comes from disk")
        ->check(CLI::Range(1e-9, 1.0));
    app.add_option("--rule", rule,
                   "thresholds of KV in memory or of KV on disk, wherever it is; without it: as it lies")
        ->check(CLI::IsMember({"memory", "disk"}));
    app.add_option("--device-mib", deviceMib, "hot tier, MiB")->check(CLI::Range(1, 1 << 22));
    app.add_option("--host-mib", hostMib, "host tier, MiB")->check(CLI::Range(1, 1 << 22));
    app.add_option("--off", off, "parts switched off, for measurements")
        ->delimiter(',')
        ->check(CLI::IsMember({"iakm", "lka", "dtp", "estimate", "reuse", "hysteresis", "profile"}));
    app.add_option("--on", on, "parts that are off as a rule")->delimiter(',')->check(CLI::IsMember({"dtp"}));
    app.add_option("--judge", judge, "what importance is judged from; oracle: true attention, a measurement")
        ->check(CLI::IsMember({"sketch", "means", "minmax", "leoam", "oracle"}));
    app.add_option("--chunk", common.kv.fixedChunkTokens, "tokens of a chunk where iakm is off")
        ->check(CLI::IsMember({16, 32, 64, 128, 256, 512}));
    app.add_flag("--leaves", common.kv.leaves, "whole leaves of 16 tokens instead of single ones");

    std::function<CommandResult()> run;
    std::filesystem::path file, texts;
    std::uint32_t predict = 128, top = 10, last = 1, context = 512, windows = 0, tokens = 512, batch = 1;
    std::string document, password, question, words;
    std::filesystem::path questions, passwordFile;

    auto* tokenize = app.add_subcommand("tokenize", "token ids of a text, or of each of a JSON list of texts");
    tokenize->add_option("--file", file);
    tokenize->add_option("--texts", texts);
    tokenize->require_option(1, 0);
    tokenize->callback([&] { run = [&] { return tokenizeCommand(common, file, texts); }; });

    auto* generate = app.add_subcommand("generate", "greedy raw continuation of a text");
    generate->add_option("--file", file)->required();
    generate->add_option("--predict", predict)->required();
    generate->callback([&] { run = [&] { return generateCommand(common, file, predict); }; });

    auto* logits = app.add_subcommand("logits", "log-probabilities after a JSON list of token ids");
    logits->add_option("--ids", file)->required();
    logits->add_option("--top", top);
    logits->add_option("--last", last);
    logits->callback([&] { run = [&] { return logitsCommand(common, file, top, last); }; });

    auto* perplexity = app.add_subcommand("perplexity", "perplexity of a text in windows");
    perplexity->add_option("--file", file)->required();
    perplexity->add_option("--ctx", context);
    perplexity->add_option("--chunks", windows, "0: all");
    perplexity->callback([&] { run = [&] { return perplexityCommand(common, file, context, windows); }; });

    std::filesystem::path kept;
    CompareOptions comparing;
    auto* bench = app.add_subcommand("bench", "prefill of a text's tokens, then decode steps");
    bench->add_option("--kept", kept, "a folder whose readings are used again and stay");
    bench->add_option("--file", file)->required();
    bench->add_option("--tokens", tokens);
    bench->add_option("--batch", batch);
    bench->add_option("--predict", predict);
    bench->callback([&] { run = [&] { return benchCommand(common, file, tokens, batch, predict, kept); }; });

    const auto comparison = [&](CLI::App* command) {
        command->add_option("--file", comparing.file)->required();
        command->add_option("--tokens", comparing.tokens)->required()->check(CLI::Range(1, 1 << 24));
        command->add_option("--probe", comparing.probes)->required()->check(CLI::Range(1, 1 << 14));
        command->add_option("--kept", comparing.kept, "a folder whose readings are used again and stay");
    };
    auto* compare = app.add_subcommand("compare", "these options against full attention, on the same text");
    comparison(compare);
    compare->add_option("--reference", comparing.reference, "of the reference's KV: codec=f16,prefill=dense");
    compare->callback([&] { run = [&] { return compareCommand(common, comparing); }; });
    auto* profile = app.add_subcommand("profile", "measure a model once, so that its documents are read better");
    comparison(profile);
    profile->callback([&] { run = [&] { return profileCommand(common, comparing); }; });

    const auto readPassword = [&] {
        std::ifstream in(passwordFile);
        std::getline(in, password);
    };
    auto* read = app.add_subcommand("read", "read a document once and keep its KV");
    read->add_option("document", document)->required();
    read->add_option("--password-file", passwordFile, "its first line opens an encrypted document")
        ->check(CLI::ExistingFile);
    read->callback([&] { run = [&] { return readPassword(), readCommand(common, document, password); }; });

    auto* ask = app.add_subcommand("ask", "answer from a document, reading it first where needed");
    ask->add_option("document", document)->required();
    ask->add_option("question", question);
    ask->add_option("--questions", questions, "one question a line")->check(CLI::ExistingFile);
    ask->add_option("--predict", predict);
    ask->add_option("--password-file", passwordFile)->check(CLI::ExistingFile);
    ask->callback([&] {
        run = [&]() -> CommandResult {
            readPassword();
            AskOptions options{document, {}, predict, password};
            if (!question.empty()) options.questions.push_back(question);
            std::ifstream in(questions);
            for (std::string line; std::getline(in, line);)
                if (!line.empty()) options.questions.push_back(line);
            if (options.questions.empty())
                return carrel::Error{carrel::Code::InvalidArgument, "", "no question was given"};
            return askCommand(common, options);
        };
    });

    const auto ofDocument = [&](const char* name, const char* what, auto* command) {
        auto* sub = app.add_subcommand(name, what);
        sub->add_option("document", document)->required();
        sub->add_option("--password-file", passwordFile)->check(CLI::ExistingFile);
        sub->callback(
            [&, command] { run = [&, command] { return readPassword(), command(common, document, password); }; });
    };
    ofDocument("inspect", "a reading's chunks, tiers, codec and sizes", inspectCommand);
    ofDocument("verify", "every checksum of a reading", verifyCommand);
    app.add_subcommand("list", "the library")->callback([&] { run = [&] { return listCommand(common); }; });
    app.add_subcommand("models", "GGUF files on this computer, and how each suits it")->callback([&] {
        run = [&] { return modelsCommand(common); };
    });
    app.add_subcommand("check-cuda", "whether the NVIDIA GPU can be used, and what each operation gives there")
        ->callback([&] { run = [&] { return checkCudaCommand(common); }; });
    auto* forget = app.add_subcommand("forget", "forget a document: its copy, its readings, its chats");
    forget->add_option("document", document)->required();
    forget->callback([&] { run = [&] { return forgetCommand(common, document); }; });
    auto* find = app.add_subcommand("find", "search the library's words");
    find->add_option("words", words)->required();
    find->callback([&] { run = [&] { return findCommand(common, words); }; });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    const auto isOff = [&](const char* part) { return std::find(off.begin(), off.end(), part) != off.end(); };
    common.backend = backend == "cpu"    ? carrel::BackendChoice::Cpu
                     : backend == "cuda" ? carrel::BackendChoice::Cuda
                                         : carrel::BackendChoice::Auto;
    common.kv.deviceBytes = deviceMib << 20;
    common.kv.hostBytes = hostMib << 20;
    common.kv.adaptiveChunks = !isOff("iakm");
    common.kv.pipeline = isOff("dtp") ? carrel::Pipeline::Off
                         : on.empty() ? carrel::Pipeline::Overlap
                                      : carrel::Pipeline::Ahead;
    common.kv.estimate = !isOff("estimate");
    common.kv.profile = !isOff("profile");
    common.kv.reuse = !isOff("reuse");
    common.kv.hysteresis = !isOff("hysteresis");
    if (!rule.empty()) common.kv.rule = rule == "disk" ? carrel::ReadRule::Disk : carrel::ReadRule::Memory;
    if (isOff("lka")) judge = "minmax";
    common.kv.judge = judge == "means"    ? carrel::Judge::Means
                      : judge == "minmax" ? carrel::Judge::MinMax
                      : judge == "leoam"  ? carrel::Judge::LeoAm
                      : judge == "oracle" ? carrel::Judge::Oracle
                                          : carrel::Judge::Sketch;
    if (common.data.empty()) {
        auto data = carrel::openDataPlace(carrel::dataPlaceFile(), carrel::defaultDataFolder());
        if (!data) return finish(common, data.error());
        common.data = std::move(*data);
    }
    return finish(common, run());
}
