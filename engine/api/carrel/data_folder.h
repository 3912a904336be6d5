#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>

namespace carrel {

/// Where documents and readings are kept, as a small file in the person's configuration remembers it.
struct DataPlace {
    std::filesystem::path data;      // empty: the default
    std::filesystem::path leftover;  // of a move: a copy that is not finished, or what was moved away; removed at start
};

/// $XDG_DATA_HOME/carrel, and the file that remembers another place: $XDG_CONFIG_HOME/carrel/data-folder.
std::filesystem::path defaultDataFolder();
std::filesystem::path dataPlaceFile();

/// A missing file is an empty place. Corrupt: the file is none of Carrel's. Io.
Result<DataPlace> readDataPlace(const std::filesystem::path& file);

/// The data folder to use, once what a move left behind is removed as far as that can be done. NotFound: the place that
/// is remembered is not there (a disk that is not connected), and nothing must be made in its stead.
Result<std::filesystem::path> openDataPlace(const std::filesystem::path& file,
                                            const std::filesystem::path& defaultFolder);

/// Copies all of `from` but its models to `to`, compares every byte, switches `file` to `to` and removes what was
/// moved. Until the switch `from` is in use and complete, from then on `to` is: a crash at any time loses nothing, and
/// the next openDataPlace() removes the other. A failure or a stop removes the copy. `to` is missing or empty.
/// progress: bytes done of all that are to be done, copying and comparing; called before everything that changes a
/// disk. InvalidArgument (one lies in the other, or `to` holds something), Busy (another Carrel uses the data),
/// DiskFull (need and have in detail), Corrupt (the copy differs), Cancelled, NoPermission, Io.
Status moveDataFolder(const std::filesystem::path& file, const std::filesystem::path& from,
                      const std::filesystem::path& to,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress, std::stop_token stop);

}  // namespace carrel
