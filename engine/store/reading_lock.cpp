#include "store/reading_lock.h"

namespace carrel {

Result<std::shared_ptr<ReadingLock>> ReadingLock::take(FileSystem& files, const std::filesystem::path& folder) {
    const auto path = folder / "lock";
    for (int attempt = 0; attempt < 5; ++attempt) {
        if (auto s = files.makeDirectories(folder); !s) return s.error();
        auto file = files.open(path, OpenMode::Create);
        if (!file && file.error().code == Code::NotFound)
            continue;  // whoever forgets this reading was between the two lines
        if (!file) return file.error();
        if (auto s = (*file)->lock(); !s) {
            if (s.error().code != Code::Busy) return s.error();
            return Error{Code::Busy, path.string(), "this reading is being written by another process or window"};
        }
        // The folder may have been removed between open and lock. If the path still names our file, a second handle
        // cannot lock it.
        auto again = files.open(path, OpenMode::ReadWrite);
        if (!again && again.error().code == Code::NotFound) continue;
        if (!again) return again.error();
        if (auto s = (*again)->lock(); !s && s.error().code == Code::Busy)
            return std::shared_ptr<ReadingLock>(new ReadingLock(std::move(*file)));
    }
    return Error{Code::Busy, path.string(), "this reading is being removed by another process"};
}

}  // namespace carrel
