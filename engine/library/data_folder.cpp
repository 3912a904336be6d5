#include <carrel/data_folder.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <sstream>
#include <vector>

#include "base/file.h"
#include "library/presence.h"

namespace carrel {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFirstLine = "carrel data folder 1";
constexpr const char* kModels = "models";  // large, and used where they are
constexpr std::uint64_t kMostPlaceBytes = 64 << 10;
constexpr std::uint64_t kSpareBytes = std::uint64_t{256} << 20;  // of the target, for everybody else
constexpr std::size_t kPiece = std::size_t{1} << 20;

fs::path homeFolder(const char* variable, const char* under) {
    if (const char* xdg = std::getenv(variable); xdg != nullptr && *xdg == '/') return xdg;
    const char* home = std::getenv("HOME");
    return fs::path(home != nullptr ? home : "/") / under;
}

Status writePlace(const fs::path& file, const DataPlace& place) {
    const std::string text =
        std::string(kFirstLine) + "\n" + place.data.string() + "\n" + place.leftover.string() + "\n";
    if (auto made = realFileSystem().makeDirectories(file.parent_path()); !made) return made;
    return writeFileAtomically(file, std::as_bytes(std::span(text)));
}

/// Whether b is a or lies in it.
bool holds(const fs::path& a, const fs::path& b) {
    const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
    return end == a.end();
}

/// Removes from `folder` what `kept` has under the same name. The folder itself goes where nothing is left in it.
Status removeCopied(const fs::path& folder, const fs::path& kept, const std::function<void()>& about) {
    std::error_code failed;
    std::vector<fs::path> names;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
        const std::string name = at->path().filename().string();
        std::error_code missing;
        // SQLite removes its own when a library closes.
        if (name != kModels && (fs::exists(kept / name, missing) || name.starts_with("library.sqlite")))
            names.push_back(at->path());
    }
    for (const fs::path& path : names) {
        about();
        if (auto removed = realFileSystem().remove(path); !removed) return removed;
    }
    fs::remove(folder, failed);  // refused where something is in it
    return {};
}

/// Removes what a move left behind, where the data is where it should be.
Status sweep(const fs::path& file, const fs::path& data, const std::function<void()>& about) {
    auto place = readDataPlace(file);
    if (!place) return place.error();
    if (place->leftover.empty()) return {};
    std::error_code failed;
    if (!fs::exists(data, failed) || holds(place->leftover, data) || holds(data, place->leftover)) return {};
    if (auto removed = removeCopied(place->leftover, data, about); !removed) return removed;
    place->leftover.clear();
    about();
    return writePlace(file, *place);
}

struct Tree {
    std::vector<fs::path> folders, files;  // relative; a folder before what is in it
    std::uint64_t bytes = 0;
};

Status list(const fs::path& root, const fs::path& below, Tree& tree) {
    std::error_code failed;
    for (fs::directory_iterator at(root / below, failed), end; !failed && at != end; at.increment(failed)) {
        const fs::path name = below / at->path().filename();
        if (name == kModels) continue;
        std::error_code unknown;
        const auto status = fs::status(at->path(), unknown);
        if (fs::is_directory(status)) {
            tree.folders.push_back(name);
            if (auto listed = list(root, name, tree); !listed) return listed;
        } else if (fs::is_regular_file(status)) {
            tree.files.push_back(name);
            tree.bytes += fs::file_size(at->path(), unknown);
        } else {
            return Error{Code::Unsupported, at->path().string(), "it is neither a file nor a folder"};
        }
    }
    if (failed) return systemError(failed.value(), (root / below).string());
    return {};
}

/// One move. done counts bytes copied and bytes compared.
class Mover {
  public:
    Mover(fs::path from, fs::path to, const std::function<void(std::uint64_t, std::uint64_t)>& progress,
          std::stop_token stop)
        : from_(std::move(from)), to_(std::move(to)), progress_(progress), stop_(std::move(stop)) {}

    Status prepare() {
        if (auto listed = list(from_, {}, tree_); !listed) return listed;
        fs::path there = to_;
        std::error_code failed;
        while (!fs::exists(there, failed) && there.has_relative_path()) there = there.parent_path();
        const auto have = realFileSystem().freeBytes(there);
        if (!have) return have.error();
        if (*have < tree_.bytes + kSpareBytes)
            return Error{Code::DiskFull, to_.string(),
                         "it needs " + std::to_string((tree_.bytes + kSpareBytes) >> 20) + " MiB, and " +
                             std::to_string(*have >> 20) + " MiB are free"};
        return {};
    }

    Status copy() {
        for (const fs::path& folder : tree_.folders) {
            about();
            if (auto made = realFileSystem().makeDirectories(to_ / folder); !made) return made;
        }
        for (const fs::path& file : tree_.files)
            if (auto copied = eachPiece(file, OpenMode::Create, &Mover::copyPiece); !copied) return copied;
        for (const fs::path& folder : tree_.folders)
            if (auto synced = realFileSystem().syncDirectory(to_ / folder); !synced) return synced;
        if (auto synced = realFileSystem().syncDirectory(to_); !synced) return synced;
        return realFileSystem().syncDirectory(to_.parent_path());
    }

    Status compare() {
        for (const fs::path& file : tree_.files)
            if (auto same = eachPiece(file, OpenMode::Read, &Mover::comparePiece); !same) return same;
        return {};
    }

    void about() const { progress_(done_, 2 * tree_.bytes); }

  private:
    using Piece = Status (Mover::*)(File& from, File& to, std::size_t bytes, std::uint64_t at);

    Status eachPiece(const fs::path& name, OpenMode mode, Piece act) {
        about();
        const auto from = realFileSystem().open(from_ / name, OpenMode::Read);
        if (!from) return from.error();
        const auto to = realFileSystem().open(to_ / name, mode);
        if (!to) return to.error();
        const auto size = (*from)->size(), copied = (*to)->size();
        if (!size) return size.error();
        if (!copied) return copied.error();
        if (mode == OpenMode::Read && *copied != *size) return differs(name);
        for (std::uint64_t at = 0; at < *size; at += kPiece) {
            if (stop_.stop_requested()) return Error{Code::Cancelled, "", "stopped"};
            const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, *size - at));
            if (auto done = (this->*act)(**from, **to, bytes, at); !done)
                return done.error().code == Code::Corrupt ? differs(name) : done;
            done_ += bytes;
            about();
        }
        if (mode == OpenMode::Read) return {};
        if (auto synced = (*to)->sync(); !synced) return synced;
        (*to)->dropCache();  // so that what is compared was on the disk
        return {};
    }

    Status copyPiece(File& from, File& to, std::size_t bytes, std::uint64_t at) {
        const auto piece = std::span(one_).first(bytes);
        if (auto read = from.pread(piece, at); !read) return read;
        return to.pwrite(piece, at);
    }

    Status comparePiece(File& from, File& to, std::size_t bytes, std::uint64_t at) {
        const auto a = std::span(one_).first(bytes), b = std::span(other_).first(bytes);
        if (auto read = from.pread(a, at); !read) return read;
        if (auto read = to.pread(b, at); !read) return read;
        return std::equal(a.begin(), a.end(), b.begin()) ? Status{} : Error{Code::Corrupt, "", ""};
    }

    Error differs(const fs::path& name) const {
        return {Code::Corrupt, (to_ / name).string(), "the copy is not what was copied"};
    }

    fs::path from_, to_;
    const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
    std::stop_token stop_;
    Tree tree_;
    std::uint64_t done_ = 0;
    std::vector<std::byte> one_ = std::vector<std::byte>(kPiece), other_ = std::vector<std::byte>(kPiece);
};

Status checkTarget(const fs::path& from, const fs::path& to) {
    std::error_code failed;
    if (!fs::exists(to, failed)) return {};
    if (!fs::is_directory(to, failed)) return Error{Code::InvalidArgument, to.string(), "this is no folder"};
    if (fs::equivalent(from, to, failed)) return Error{Code::InvalidArgument, to.string(), "the data is there already"};
    if (!fs::is_empty(to, failed) || failed)
        return Error{Code::InvalidArgument, to.string(), "this folder is not empty"};
    return {};
}

}  // namespace

fs::path defaultDataFolder() {
    return homeFolder("XDG_DATA_HOME", ".local/share") / "carrel";
}

fs::path dataPlaceFile() {
    return homeFolder("XDG_CONFIG_HOME", ".config") / "carrel/data-folder";
}

Result<DataPlace> readDataPlace(const fs::path& file) {
    const auto text = readFile(file, kMostPlaceBytes);
    if (!text && text.error().code == Code::NotFound) return DataPlace{};
    if (!text) return text.error();
    std::istringstream lines(*text);
    std::string first, data, leftover;
    std::getline(lines, first);
    std::getline(lines, data);
    std::getline(lines, leftover);
    const auto absolute = [](const std::string& path) { return path.empty() || path.front() == '/'; };
    if (first != kFirstLine || !lines || !absolute(data) || !absolute(leftover))
        return Error{Code::Corrupt, file.string(), "it does not say where the data folder is"};
    return DataPlace{data, leftover};
}

Result<fs::path> openDataPlace(const fs::path& file, const fs::path& defaultFolder) {
    const auto place = readDataPlace(file);
    if (!place) return place.error();
    const fs::path data = place->data.empty() ? defaultFolder : place->data;
    std::error_code failed;
    if (!place->data.empty() && !fs::exists(data / "library.sqlite", failed))
        return Error{Code::NotFound, data.string(), "the data folder is not there"};
    if (!place->leftover.empty() && fs::exists(data / "library.lock", failed)) {
        // Another window may be the one that moves.
        const auto presence = Presence::enter(data / "library.lock");
        if (presence && presence->alone()) {
            const auto swept = sweep(file, data, [] {});
            static_cast<void>(static_cast<bool>(swept));  // the next start tries again
        }
    }
    return data;
}

Status moveDataFolder(const fs::path& file, const fs::path& from, const fs::path& to,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress, std::stop_token stop) {
    std::error_code failed;
    const fs::path source = fs::canonical(from, failed), target = fs::weakly_canonical(to, failed);
    if (source.empty() || target.empty()) return Error{Code::NotFound, from.string(), "there is no such folder"};
    for (const fs::path& path : {source, target})
        if (path.string().find('\n') != std::string::npos)
            return Error{Code::InvalidArgument, path.string(), "a line break is in its name"};
    if (auto fine = checkTarget(source, target); !fine) return fine;
    if (holds(source, target) || holds(target, source))
        return Error{Code::InvalidArgument, target.string(), "one of the folders lies in the other"};
    const auto presence = Presence::enter(source / "library.lock");
    if (!presence) return presence.error();
    if (!presence->alone()) return Error{Code::Busy, source.string(), "another Carrel is using the data"};

    Mover mover(source, target, progress, std::move(stop));
    const auto about = [&mover] { mover.about(); };
    if (auto swept = sweep(file, source, about); !swept) return swept;
    if (auto fits = mover.prepare(); !fits) return fits;
    about();
    if (auto begun = writePlace(file, {source, target}); !begun) return begun;
    const Status moved = [&]() -> Status {
        if (auto made = realFileSystem().makeDirectories(target); !made) return made;
        fs::permissions(target, fs::perms::owner_all, failed);  // it may have been there, and open to others
        if (failed) return systemError(failed.value(), target.string());
        if (auto copied = mover.copy(); !copied) return copied;
        if (auto same = mover.compare(); !same) return same;
        about();
        return writePlace(file, {target, source});
    }();
    // Whichever it is: one of the two is in use now, and the other goes. What cannot be removed waits for the next
    // start.
    const auto swept = sweep(file, moved ? target : source, about);
    static_cast<void>(static_cast<bool>(swept));
    return moved;
}

}  // namespace carrel
