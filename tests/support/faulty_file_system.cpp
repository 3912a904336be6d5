#include "support/faulty_file_system.h"

#include <algorithm>

namespace carrel {

namespace {
Error broken(const std::filesystem::path& path, const char* what) {
    return {Code::Io, path.string(), what};
}
}  // namespace

class FaultyFileSystem::FaultyFile final : public File {
  public:
    FaultyFile(FaultyFileSystem& owner, std::filesystem::path path, std::unique_ptr<File> below)
        : owner_(owner), path_(std::move(path)), below_(std::move(below)) {}

    Result<std::uint64_t> size() override { return below_->size(); }
    Status pread(std::span<std::byte> into, std::uint64_t offset) override {
        bool now = false;
        auto fault = ReadFault::Fails;
        {
            const std::lock_guard guard(owner_.mutex_);
            if (owner_.failReads_ || owner_.crashed_) return broken(path_, "injected: the read fails");
            fault = owner_.readFault_;
            now = owner_.readsLeft_ != SIZE_MAX && owner_.readsLeft_-- == 0;  // wraps to SIZE_MAX: struck
        }
        if (!now) return below_->pread(into, offset);
        if (fault == ReadFault::Fails) return broken(path_, "injected: the read fails");
        if (auto s = below_->pread(into, offset); !s) return s;
        if (fault == ReadFault::Flips) {
            for (std::size_t at = 0; at < into.size(); at += 512) into[at] ^= std::byte{0x10};
            return {};
        }
        std::fill(into.begin() + static_cast<std::ptrdiff_t>(into.size() / 2), into.end(), std::byte{0});
        return Error{Code::Truncated, path_.string(), "injected: the read is short"};
    }
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override {
        const std::lock_guard guard(owner_.mutex_);
        const auto verdict = owner_.judge(Step::Write, from.size(), path_);
        const auto part = verdict.whole ? from : from.first(verdict.half ? from.size() / 2 : 0);
        if (auto s = remember(offset, part.size()); !s) return s;
        if (auto s = below_->pwrite(part, offset); !s) return s;
        return verdict.status;
    }
    Status truncate(std::uint64_t size) override {
        const std::lock_guard guard(owner_.mutex_);
        const auto verdict = owner_.judge(Step::Truncate, 0, path_);
        if (!verdict.whole) return verdict.status;
        if (auto s = remember(size, UINT64_MAX); !s) return s;
        return below_->truncate(size);
    }
    Status sync() override {
        const std::lock_guard guard(owner_.mutex_);
        const auto verdict = owner_.judge(Step::Sync, 0, path_);
        if (!verdict.whole) return verdict.status;
        owner_.unsynced_.erase(path_);
        return below_->sync();
    }
    Status lock() override { return below_->lock(); }
    void dropCache() override { below_->dropCache(); }
    std::uint32_t readAlignment() const override { return below_->readAlignment(); }

  private:
    /// Keeps the bytes [offset, offset + count) that are about to change, as far as there are any.
    Status remember(std::uint64_t offset, std::uint64_t count) {
        const auto size = below_->size();
        if (!size) return size.error();
        Undo undo{*size, offset, {}};
        if (offset < *size) undo.old.resize(std::min(count, *size - offset));
        if (auto s = below_->pread(undo.old, offset); !s) return s;
        owner_.unsynced_[path_].push_back(std::move(undo));
        return {};
    }
    FaultyFileSystem& owner_;
    std::filesystem::path path_;
    std::unique_ptr<File> below_;
};

FaultyFileSystem::Verdict FaultyFileSystem::judge(Step step, std::uint64_t bytes, const std::filesystem::path& path) {
    if (crashed_) return {false, false, broken(path, "injected: after the crash")};
    const bool now = steps_++ == failAt_;
    if (now && fault_ == Fault::Crash) {
        crashed_ = struck_ = true;
        return {false, step == Step::Write, broken(path, "injected: the crash")};
    }
    if (now && fault_ == Fault::SyncFails && step == Step::Sync) {
        struck_ = true;
        return {false, false, broken(path, "injected: the sync fails")};
    }
    if (step == Step::Write && ((now && fault_ == Fault::NoSpace) || bytes > space_)) {
        struck_ = true;
        return {false, true, Error{Code::DiskFull, path.string(), "injected: no space left"}};
    }
    if (step == Step::Write && space_ != UINT64_MAX) space_ -= bytes;
    return {};
}

void FaultyFileSystem::failAt(Fault fault, std::size_t step) {
    const std::lock_guard guard(mutex_);
    fault_ = fault;
    failAt_ = steps_ + step;
    struck_ = false;
}
void FaultyFileSystem::failReads(bool fail) {
    const std::lock_guard guard(mutex_);
    failReads_ = fail;
}
void FaultyFileSystem::refuseDirect(bool refuse) {
    const std::lock_guard guard(mutex_);
    refuseDirect_ = refuse;
}
void FaultyFileSystem::failRead(ReadFault fault, std::size_t read) {
    const std::lock_guard guard(mutex_);
    readFault_ = fault;
    readsLeft_ = read;
}
void FaultyFileSystem::setSpace(std::uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    space_ = bytes;
}
void FaultyFileSystem::claimSpace(std::uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    claimed_ = bytes;
}
void FaultyFileSystem::heal() {
    const std::lock_guard guard(mutex_);
    failAt_ = SIZE_MAX;
    space_ = claimed_ = UINT64_MAX;
    crashed_ = failReads_ = refuseDirect_ = false;
    readsLeft_ = SIZE_MAX;
}

void FaultyFileSystem::powerCut(Keep keep) {
    heal();
    const std::lock_guard guard(mutex_);
    for (const auto& [path, changes] : unsynced_) {
        auto file = below_.open(path, OpenMode::ReadWrite);
        if (keep == Keep::All || !file) continue;
        for (std::size_t i = changes.size(); i-- > 0;) {  // newest first
            if (keep == Keep::EverySecond && i % 2 == 1) continue;
            const auto& undo = changes[i];
            const auto now = (*file)->size();
            // Where a kept change made the file longer, only the bytes go; a hole of zeros is what a disk shows there.
            const bool cut = keep == Keep::Nothing;
            if (!now || (cut && !(*file)->truncate(undo.size))) continue;
            const auto put = (*file)->pwrite(undo.old, undo.offset);
            static_cast<void>(put);
        }
    }
    if (keep == Keep::Nothing)
        for (const auto& path : newFiles_) {
            const auto gone = below_.remove(path);
            static_cast<void>(gone);
        }
    unsynced_.clear();
    newFiles_.clear();
}

Result<std::unique_ptr<File>> FaultyFileSystem::open(const std::filesystem::path& path, OpenMode mode) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return broken(path, "injected: after the crash");
    if (mode == OpenMode::Direct && refuseDirect_)
        return Error{Code::Unsupported, path.string(), "injected: no direct reads"};
    std::error_code failed;
    const bool creates = mode == OpenMode::Create && !std::filesystem::exists(path, failed);
    if (creates) {
        if (const auto verdict = judge(Step::Create, 0, path); !verdict.whole) return verdict.status.error();
        newFiles_.insert(path);
    }
    auto file = below_.open(path, mode);
    if (!file) return file;
    return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, path, std::move(*file)));
}

Status FaultyFileSystem::makeDirectories(const std::filesystem::path& path) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return broken(path, "injected: after the crash");
    return below_.makeDirectories(path);
}

Status FaultyFileSystem::syncDirectory(const std::filesystem::path& path) {
    const std::lock_guard guard(mutex_);
    const auto verdict = judge(Step::Sync, 0, path);
    if (!verdict.whole) return verdict.status;
    std::erase_if(newFiles_, [&](const auto& file) { return file.parent_path() == path; });
    return below_.syncDirectory(path);
}

Status FaultyFileSystem::remove(const std::filesystem::path& path) {
    const std::lock_guard guard(mutex_);
    const auto verdict = judge(Step::Remove, 0, path);
    if (!verdict.whole) return verdict.status;
    unsynced_.erase(path);
    newFiles_.erase(path);
    return below_.remove(path);
}

Result<std::uint64_t> FaultyFileSystem::freeBytes(const std::filesystem::path& path) {
    const std::lock_guard guard(mutex_);
    if (claimed_ != UINT64_MAX) return claimed_;
    return below_.freeBytes(path);
}

}  // namespace carrel
