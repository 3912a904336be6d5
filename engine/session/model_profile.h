#pragma once

#include <carrel/result.h>

#include <filesystem>
#include <string>

namespace carrel {

/// What was measured once of a model, so that its documents are read better. A file per model in the data folder:
/// profiles/<fingerprint>.json
///   {"version": 1, "model": "<fingerprint>", "estimate": true}
struct ModelProfile {
    bool estimate = false;  // counting the unread by its leaves' means brings answers nearer to full attention's

    /// NotFound where there is none. Corrupt, Unsupported (another version or size), Io: what there is counts for
    /// nothing.
    static Result<ModelProfile> read(const std::filesystem::path& dataDir, const std::string& fingerprint);
    Status write(const std::filesystem::path& dataDir, const std::string& fingerprint) const;
};

std::filesystem::path profilePath(const std::filesystem::path& dataDir, const std::string& fingerprint);

}  // namespace carrel
