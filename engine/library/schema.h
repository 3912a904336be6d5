#pragma once

#include <carrel/result.h>

#include <filesystem>
#include <span>

#include "base/sqlite.h"

namespace carrel {

/// SQL that lifts a library from user_version i to i + 1, for every i; its size is the version that this Carrel writes.
std::span<const char* const> librarySchema();

/// Brings `db`, which is `file`, to version steps.size(), all or nothing. A database that holds something is first
/// copied to
/// `<file>.v<version>-backup`. DiskFull, Io, Busy; newer versions are left as they are.
Status migrate(SqlDatabase& db, const std::filesystem::path& file, std::span<const char* const> steps);

}  // namespace carrel
