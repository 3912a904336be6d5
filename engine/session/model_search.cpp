#include "session/model_search.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/file.h"

namespace carrel {

namespace {

constexpr std::uint64_t kMostManifestBytes = 1 << 20;
constexpr std::size_t kDigestLetters = 64;  // of a SHA-256
constexpr std::string_view kWeights = "application/vnd.ollama.image.model";

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// The number of "-00002-of-00005.gguf"; 0: the name says nothing of parts.
unsigned partOf(const std::string& name) {
    constexpr std::string_view shape = "-00000-of-00000.gguf";
    if (name.size() < shape.size()) return 0;
    const std::string_view end = std::string_view(name).substr(name.size() - shape.size());
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] == '0' ? std::isdigit(static_cast<unsigned char>(end[i])) == 0 : end[i] != shape[i]) return 0;
    return static_cast<unsigned>(std::stoul(std::string(end.substr(1, 5))));
}

/// Jan calls every file "model.gguf"; its folder has the name.
std::string nameOf(const std::filesystem::path& file) {
    const std::string stem = file.stem().string();
    return lower(stem) == "model" ? file.parent_path().filename().string() : stem;
}

class Search {
  public:
    Search(std::stop_token stop, const SearchLimits& limits) : stop_(std::move(stop)), limits_(limits) {}

    void look(const ModelPlace& place) {
        std::error_code gone;
        if (std::filesystem::is_regular_file(place.folder, gone)) return add(place, place.folder, nameOf(place.folder));
        const bool ollama = place.origin == ModelOrigin::Ollama;
        const auto root = ollama ? place.folder / "manifests" : place.folder;
        std::vector<std::filesystem::path> files = walk(root, !ollama, place.origin != ModelOrigin::Downloads);
        std::ranges::sort(files);
        for (const auto& file : files) {
            if (full()) return;
            ollama ? addManifest(place, root, file) : add(place, file, nameOf(file));
        }
    }
    bool full() const { return stop_.stop_requested() || found_.size() >= limits_.models; }
    std::vector<FoundModel> take() { return std::move(found_); }

  private:
    using Id = std::pair<dev_t, ino_t>;

    /// Files under a folder, nearest first. Of those that end in .gguf only where `gguf`.
    std::vector<std::filesystem::path> walk(const std::filesystem::path& root, bool gguf, bool links) {
        std::vector<std::filesystem::path> files;
        std::deque<std::pair<std::filesystem::path, unsigned>> folders{{root, 0}};
        std::set<Id> entered;
        std::size_t left = limits_.entries;
        for (; !folders.empty() && left > 0; folders.pop_front()) {
            const auto& [folder, depth] = folders.front();
            struct stat status {};
            if (::stat(folder.c_str(), &status) != 0 || !entered.emplace(status.st_dev, status.st_ino).second) continue;
            std::error_code bad;
            for (std::filesystem::directory_iterator at(folder, bad), end; !bad && at != end; at.increment(bad)) {
                if (left-- == 0 || stop_.stop_requested()) return files;
                const std::string name = at->path().filename().string();
                std::error_code gone;
                if (name.starts_with('.')) continue;
                if (at->is_directory(gone)) {
                    if (depth < limits_.depth && (links || !at->is_symlink(gone)))
                        folders.emplace_back(at->path(), depth + 1);
                } else if (at->is_regular_file(gone) && (!gguf || lower(name).ends_with(".gguf"))) {
                    files.push_back(at->path());
                }
            }
        }
        return files;
    }

    void add(const ModelPlace& place, const std::filesystem::path& file, const std::string& name) {
        struct stat status {};
        if (partOf(lower(file.filename().string())) > 1) return;  // the first stands for all
        if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
        if (!known_.emplace(status.st_dev, status.st_ino).second) return;
        found_.push_back({file, place.origin, name, readModelInfo(file), {}});
    }

    /// manifests/<host>/<namespace>/<name>/<tag>; the weights are blobs/sha256-<digest>.
    void addManifest(const ModelPlace& place, const std::filesystem::path& manifests,
                     const std::filesystem::path& file) {
        const auto text = readFile(file, kMostManifestBytes);
        if (!text) return;
        const auto json = nlohmann::json::parse(*text, nullptr, false);
        if (!json.is_object() || !json.contains("layers") || !json["layers"].is_array()) return;
        for (const auto& layer : json["layers"]) {
            if (!layer.is_object() || layer.value("mediaType", nlohmann::json()) != kWeights) continue;
            const auto digest = layer.value("digest", nlohmann::json());
            if (!digest.is_string()) continue;
            const std::string hex = digest.get<std::string>();
            if (!hex.starts_with("sha256:") || hex.size() != 7 + kDigestLetters ||
                !std::all_of(hex.begin() + 7, hex.end(), [](unsigned char c) { return std::isxdigit(c) != 0; }))
                continue;
            add(place, place.folder / "blobs" / ("sha256-" + hex.substr(7)), ollamaName(manifests, file));
        }
    }

    /// As `ollama list` has it: host and namespace only where they are not the usual ones.
    static std::string ollamaName(const std::filesystem::path& manifests, const std::filesystem::path& file) {
        std::string name = file.parent_path().lexically_relative(manifests).generic_string();
        for (const std::string_view usual : {"registry.ollama.ai/", "library/"})
            if (name.starts_with(usual)) name.erase(0, usual.size());
        return name + ':' + file.filename().string();
    }

    std::stop_token stop_;
    SearchLimits limits_;
    std::set<Id> known_;
    std::vector<FoundModel> found_;
};

}  // namespace

std::vector<FoundModel> findModels(const std::vector<ModelPlace>& places, std::stop_token stop,
                                   const SearchLimits& limits) {
    Search search(std::move(stop), limits);
    for (const ModelPlace& place : places)
        if (!search.full()) search.look(place);
    return search.take();
}

}  // namespace carrel
