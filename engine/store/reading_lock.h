#pragma once

#include <filesystem>
#include <memory>

#include "base/file.h"

namespace carrel {

/// The right to write one reading and its tails: flock on readings/<id>/lock, held while this lives.
class ReadingLock {
  public:
    /// Makes the folder where it is missing. Busy: another process, or another handle of this one, writes this reading.
    static Result<std::shared_ptr<ReadingLock>> take(FileSystem& files, const std::filesystem::path& folder);

  private:
    explicit ReadingLock(std::unique_ptr<File> file) : file_(std::move(file)) {}
    std::unique_ptr<File> file_;
};

}  // namespace carrel
