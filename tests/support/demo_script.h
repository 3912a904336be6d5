#pragma once

#include "scripted_engine.h"

#include <memory>

namespace carrel::app {

/// A ScriptedEngine that goes by itself and has something to say.
inline std::unique_ptr<ScriptedEngine> demoEngine() {
    auto engine = std::make_unique<ScriptedEngine>(ScriptedEngine::Pace::ByItself);
    engine->rows = {ScriptedEngine::document("/demo/Reading list.md"),
                    ScriptedEngine::document("/demo/Debian Policy Manual.pdf")};
    engine->models.models = {
        ScriptedEngine::model("/home/me/Downloads/Qwen3 4B Q4_K_M.gguf", Fit::Fits, 11.4),
        ScriptedEngine::model("/home/me/Downloads/Qwen2.5 Coder 0.5B Instruct.gguf", Fit::Fits, 48),
        ScriptedEngine::model("/home/me/Downloads/Llama 3.1 8B Q6_K.gguf", Fit::Slow, 2.8),
        ScriptedEngine::model("/home/me/Downloads/Llama 3.3 70B Q4_K_M.gguf", Fit::WontFit)};
    FoundModel other = ScriptedEngine::model("/home/me/Downloads/mmproj-F16.gguf", Fit::Unknown);
    other.info = Error{Code::Unsupported, other.file.string(), "it is the part of a model that sees pictures"};
    engine->models.models.push_back(other);
    engine->script =
        "**Yes.** The manual asks for three things:\n\n1. A short description.\n2. A `changelog` that "
        "[explains each change](https://example.org/changes).\n3. A licence.\n\n"
        "> Packages may not modify the configuration files of other packages.\n\n"
        "| Field | Needed |\n|---|---|\n| Source | yes |\n| Section | no |\n\n```sh\ndpkg -i carrel.deb\n```\n\n"
        "### In short\n\nThat is all there is to it.";
    engine->sources = {{"p. 12",
                        12,
                        {},
                        "Every package must have a short description and an extended one, and both are shown to people "
                        "who choose among packages.",
                        {{72, 128, 450, 14}, {72, 146, 450, 14}},
                        0.6f},
                       {"p. 3", 3, {}, "A changelog is required.", {{72, 200, 450, 14}}, 0.3f},
                       {"p. 41", 41, {}, "The licence must be stated in full.", {{72, 300, 450, 14}}, 0.1f}};
    return engine;
}

}  // namespace carrel::app
