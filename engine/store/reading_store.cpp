#include "store/reading_store.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "store/paths.h"
#include "store/rebuild.h"
#include "store/stream.h"

namespace carrel {

namespace {

// The sign to backup programs that what lies here can be made again (bford.info/cachedir).
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Key-value caches of Carrel: large, and made again from the "
    "documents.\n";

using LockPtr = std::shared_ptr<ReadingLock>;

class DiskStore final : public ReadingStore {
  public:
    DiskStore(FileSystem& files, std::filesystem::path root, StoreLimits limits)
        : files_(files), root_(std::move(root)), limits_(limits) {}

    Status start();
    Result<std::unique_ptr<KvStream>> openReading(const ReadingKey& key, KvShape shape) override;
    Result<std::unique_ptr<KvStream>> openTail(const KvStream& reading, const std::string& name,
                                               std::uint32_t firstToken) override;
    Result<std::vector<StreamInfo>> readingsOf(const std::string& document) override {
        return index_->readingsOf(document);
    }
    Status used(const KvStream& reading, const ReadingUse& use) override;
    Status forgetReading(const std::string& id) override { return forget({id}); }
    Status forgetDocument(const std::string& document) override;
    Status forgetTail(const std::string& name) override;

  private:
    Status writeTag();
    Status forget(const std::vector<std::string>& readings);
    Result<LockPtr> lock(const std::string& id, bool shareOurs);
    Result<std::int64_t> readingStream(const ReadingRow& wanted);
    Result<std::optional<StreamRow>> streamNamed(const std::string& reading, const std::string& name);
    Status dropTail(const std::filesystem::path& folder, const StreamRow& tail);
    Status sweep();
    Status sweepTails(const std::string& id);

    FileSystem& files_;
    std::filesystem::path root_;  // readings/
    StoreLimits limits_;
    std::shared_ptr<Index> index_;
    std::map<std::string, std::weak_ptr<ReadingLock>> locks_;  // held by streams of this store
};

Status DiskStore::start() {
    if (auto s = files_.makeDirectories(root_); !s) return s;
    if (auto s = writeTag(); !s) return s;
    bool rebuilt = false;
    auto index = Index::open(root_ / "index.sqlite", [&](Index& empty) {
        rebuilt = true;
        return rebuildIndex(files_, root_, empty);
    });
    if (!index) return index.error();
    index_ = std::move(*index);
    // What a rebuild could not read may be readable next time: it is not swept yet.
    return rebuilt ? Status{} : sweep();
}

Status DiskStore::writeTag() {
    std::error_code failed;
    const auto path = root_ / "CACHEDIR.TAG";
    if (std::filesystem::exists(path, failed)) return {};
    auto tag = files_.open(path, OpenMode::Create);
    if (!tag) return tag.error();
    if (auto s = (*tag)->pwrite(std::as_bytes(std::span(kCacheTag)), 0); !s) return s;
    return files_.syncDirectory(root_.parent_path());
}

Result<LockPtr> DiskStore::lock(const std::string& id, bool shareOurs) {
    if (auto ours = locks_[id].lock()) {
        if (shareOurs) return ours;
        return Error{Code::Busy, (root_ / id).string(), "this reading is open here already"};
    }
    auto taken = ReadingLock::take(files_, root_ / id);
    if (taken) locks_[id] = *taken;
    return taken;
}

Result<std::optional<StreamRow>> DiskStore::streamNamed(const std::string& reading, const std::string& name) {
    const auto rows = index_->streams(reading);
    if (!rows) return rows.error();
    const auto found = std::find_if(rows->begin(), rows->end(), [&](const StreamRow& row) { return row.name == name; });
    return found == rows->end() ? std::optional<StreamRow>() : *found;
}

/// The row of a reading's own stream, all of it made where it is missing or says something else than the id stands for.
Result<std::int64_t> DiskStore::readingStream(const ReadingRow& wanted) {
    const auto known = index_->reading(wanted.id);
    if (!known) return known.error();
    if (!*known || (*known)->key != wanted.key || (*known)->shape != wanted.shape) {
        if (auto s = index_->removeReading(wanted.id); !s) return s.error();
        if (auto s = index_->addReading(wanted); !s) return s.error();
    }
    const auto stream = streamNamed(wanted.id, "");
    if (!stream) return stream.error();
    return *stream ? (*stream)->id : index_->addStream(wanted.id, {});
}

Result<std::unique_ptr<KvStream>> DiskStore::openReading(const ReadingKey& key, KvShape shape) {
    if (!possible(shape)) return Error{Code::InvalidArgument, key.document, "no shape of a model"};
    if (key.codec != KvCodec::F16 && !encodable(shape.headDim))
        return Error{Code::InvalidArgument, key.document, "no codec for this head size"};
    const auto id = readingId(key, shape);
    if (!id) return id.error();
    auto held = lock(*id, false);
    if (!held) return held.error();
    const auto stream = readingStream({*id, key, shape});
    if (!stream) return stream.error();
    SegmentHeader identity;
    identity.key = key;
    identity.shape = shape;
    auto opened =
        DiskStream::open({files_, index_, std::move(*held), root_, root_ / *id, *stream, std::move(identity), limits_});
    if (!opened) return opened.error();
    return std::unique_ptr<KvStream>(std::move(*opened));
}

Result<std::unique_ptr<KvStream>> DiskStore::openTail(const KvStream& reading, const std::string& name,
                                                      std::uint32_t firstToken) {
    const auto* parent = dynamic_cast<const DiskStream*>(&reading);
    if (parent == nullptr || parent->place().index != index_ || !parent->place().identity.tail.empty() ||
        name.empty() || !parent->stack().continuesAt(firstToken))
        return Error{Code::InvalidArgument, name, "no place for a tail"};
    SegmentHeader identity = parent->place().identity;
    identity.tail = name;
    identity.firstToken = firstToken;
    identity.prefixChain = parent->stack().chainBefore(firstToken);
    if (const auto page = identity.encode(); !page) return page.error();

    const auto& folder = parent->place().folder;
    auto row = streamNamed(folder.filename().string(), name);
    if (!row) return row.error();
    if (*row && ((*row)->firstToken != firstToken || (*row)->prefixChain != identity.prefixChain)) {
        if (auto s = dropTail(folder, **row); !s) return s.error();
        row->reset();
    }
    std::int64_t stream = *row ? (*row)->id : 0;
    if (!*row) {
        const auto added = index_->addStream(folder.filename().string(), {0, name, firstToken, identity.prefixChain});
        if (!added) return added.error();
        stream = *added;
    }
    if (auto s = files_.makeDirectories(tailFolder(folder, name)); !s) return s.error();
    auto opened = DiskStream::open(
        {files_, index_, parent->place().lock, root_, tailFolder(folder, name), stream, std::move(identity), limits_});
    if (!opened) return opened.error();
    return std::unique_ptr<KvStream>(std::move(*opened));
}

Status DiskStore::dropTail(const std::filesystem::path& folder, const StreamRow& tail) {
    if (auto s = index_->removeStream(tail.id); !s) return s;
    return files_.remove(tailFolder(folder, tail.name));
}

Status DiskStore::forgetTail(const std::string& name) {
    if (name.empty()) return Error{Code::InvalidArgument, name, "a tail has a name"};
    const auto readings = index_->readingsWithTail(name);
    if (!readings) return readings.error();
    for (const auto& id : *readings) {
        const auto held = lock(id, true);
        if (!held) return held.error();
        const auto row = streamNamed(id, name);
        if (!row) return row.error();
        if (!*row) continue;
        if (auto s = dropTail(root_ / id, **row); !s) return s;
    }
    return {};
}

Status DiskStore::forgetDocument(const std::string& document) {
    const auto readings = index_->idsOf(document);
    if (!readings) return readings.error();
    return forget(*readings);
}

Status DiskStore::used(const KvStream& reading, const ReadingUse& use) {
    const auto* stream = dynamic_cast<const DiskStream*>(&reading);
    if (stream == nullptr || stream->place().index != index_)
        return Error{Code::InvalidArgument, "", "no reading of this store"};
    return index_->setUse(stream->place().folder.filename().string(), use);
}

Status DiskStore::forget(const std::vector<std::string>& readings) {
    std::vector<LockPtr> held;  // all before anything goes
    for (const auto& id : readings) {
        auto taken = lock(id, false);
        if (!taken) return taken.error();
        held.push_back(std::move(*taken));
    }
    for (const auto& id : readings)
        if (auto s = index_->removeReading(id); !s) return s;
    Status done;
    for (const auto& id : readings)
        if (auto s = files_.remove(root_ / id); !s) done = s;  // the others go all the same
    return done;
}

/// Folders without rows, rows without folders, and readings of older formats, which nobody will ever read; of readings
/// that nobody holds. Files that cannot be removed wait for the next start.
Status DiskStore::sweep() {
    const auto rows = index_->formats();
    if (!rows) return rows.error();
    const auto known = [](const auto& list, const std::string& id) {
        return std::any_of(list.begin(), list.end(), [&](const auto& row) { return row.first == id; });
    };
    for (const auto& [id, format] : *rows)
        if (format < std::int64_t{kStoreFormat})
            if (const auto held = lock(id, false))
                if (auto s = index_->removeReading(id); !s) return s;
    const auto left = index_->formats();
    if (!left) return left.error();
    for (const auto& folder : foldersIn(root_)) {
        const std::string id = folder.filename().string();
        if (!looksLikeReadingId(id)) continue;
        if (known(*left, id)) {
            if (auto s = sweepTails(id); !s) return s;
            continue;
        }
        const auto held = lock(id, false);
        if (!held) continue;
        const auto now = index_->formats();  // its writer may have added the row before we had the lock
        if (!now) return now.error();
        if (known(*now, id)) continue;
        const auto removed = files_.remove(folder);
        static_cast<void>(removed);
    }
    std::error_code failed;
    for (const auto& [id, format] : *left)
        if (!std::filesystem::exists(root_ / id, failed) && !failed)
            if (auto s = index_->removeReading(id); !s) return s;
    return {};
}

Status DiskStore::sweepTails(const std::string& id) {
    for (const auto& tail : foldersIn(root_ / id / "tails")) {
        const auto orphan = [&]() -> Result<bool> {
            const auto streams = index_->streams(id);
            if (!streams) return streams.error();
            return std::none_of(streams->begin(), streams->end(), [&](const StreamRow& row) {
                return !row.name.empty() && tailFolder(root_ / id, row.name) == tail;
            });
        };
        auto orphaned = orphan();
        if (!orphaned) return orphaned.error();
        if (!*orphaned) continue;
        const auto held = lock(id, false);
        if (!held) continue;
        orphaned = orphan();
        if (!orphaned) return orphaned.error();
        if (!*orphaned) continue;
        const auto removed = files_.remove(tail);
        static_cast<void>(removed);
    }
    return {};
}

}  // namespace

std::uint64_t mostStoredBytes(KvShape shape, KvCodec codec, std::uint32_t tokens) {
    constexpr std::uint32_t kBatch = 2 * kGroupTokens;
    const std::uint64_t batches = (std::uint64_t{tokens} + kBatch - 1) / kBatch;
    return batches * (mostBatchBytes(shape, codec, kBatch) + mostSketchBytes(shape, codec, kBatch)) + kPage;
}

Result<std::unique_ptr<ReadingStore>> ReadingStore::open(FileSystem& files, const std::filesystem::path& dataDir,
                                                         StoreLimits limits) {
    auto store = std::make_unique<DiskStore>(files, dataDir / "readings", limits);
    if (auto s = store->start(); !s) return s.error();
    return std::unique_ptr<ReadingStore>(std::move(store));
}

}  // namespace carrel
