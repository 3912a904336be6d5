#include <carrel/models.h>

#include <sstream>

namespace carrel {

std::vector<ModelPlace> usualModelPlaces(const std::function<std::string(const char*)>& value) {
    const auto at = [&](const char* name, const std::filesystem::path& otherwise) {
        const std::string set = value(name);
        return set.empty() ? otherwise : std::filesystem::path(set);
    };
    const std::filesystem::path home = at("HOME", "/");
    const auto data = at("XDG_DATA_HOME", home / ".local/share");
    const auto cache = at("XDG_CACHE_HOME", home / ".cache");
    std::vector<ModelPlace> places;
    const auto add = [&](const std::filesystem::path& folder, ModelOrigin origin) {
        if (folder.is_absolute()) places.push_back({folder, origin});
    };
    add(data / "carrel/models", ModelOrigin::Carrel);
    std::istringstream systemWide(at("XDG_DATA_DIRS", "/usr/local/share:/usr/share").string() + ":/usr/share");
    for (std::string folder; std::getline(systemWide, folder, ':');)
        add(std::filesystem::path(folder) / "carrel/models", ModelOrigin::Package);
    add(home / ".lmstudio/models", ModelOrigin::LmStudio);
    add(cache / "lm-studio/models", ModelOrigin::LmStudio);
    add(at("OLLAMA_MODELS", home / ".ollama/models"), ModelOrigin::Ollama);
    for (const char* service : {"/usr/share/ollama/.ollama/models", "/var/lib/ollama/models"})
        add(service, ModelOrigin::Ollama);
    add(at("HF_HUB_CACHE", at("HF_HOME", cache / "huggingface") / "hub"), ModelOrigin::HuggingFace);
    add(data / "nomic.ai/GPT4All", ModelOrigin::Gpt4All);
    for (const auto& folder : {data / "Jan/data/llamacpp/models", data / "Jan/data/models", home / "jan/models"})
        add(folder, ModelOrigin::Jan);
    const auto unsloth = at("UNSLOTH_STUDIO_HOME", home / ".unsloth/studio");
    for (const char* folder : {"exports", "outputs"}) add(unsloth / folder, ModelOrigin::Unsloth);
    add(at("LLAMA_CACHE", cache / "llama.cpp"), ModelOrigin::LlamaCpp);
    return places;
}

}  // namespace carrel
