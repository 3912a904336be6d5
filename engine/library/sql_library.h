#pragma once

#include <carrel/library.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <span>

#include "base/sqlite.h"
#include "document/document.h"
#include "library/presence.h"

namespace carrel {

// How values lie in columns.

inline std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

template <class T>
std::span<const std::byte> bytesOf(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}
template <class T>
std::vector<T> valuesOf(std::span<const std::byte> blob) {
    std::vector<T> values(blob.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), blob.data(), values.size() * sizeof(T));
    return values;
}
template <class E>
E enumOf(std::int64_t value, E last) {  // a number that is no state, from a damaged file, reads as the last one
    return value < 0 || value > static_cast<std::int64_t>(last) ? last : static_cast<E>(value);
}
template <class E>
std::int64_t numberOf(E value) {
    return static_cast<std::int64_t>(value);
}
inline std::uint32_t u32(std::int64_t value) {
    return static_cast<std::uint32_t>(value);
}
inline std::uint64_t u64(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}
inline std::int64_t i64(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

/// The Library on SQLite: library.cpp opens it and keeps documents, conversations.cpp chats and turns, find.cpp
/// searches.
class SqlLibrary final : public Library {
  public:
    SqlLibrary(SqlDatabase db, std::optional<Presence> presence, const LibraryOptions& options)
        : db_(std::move(db)), presence_(std::move(presence)), options_(options), store_(options.dataDir) {}

    Status recover();

    Result<DocumentRow> add(const std::filesystem::path& file, const std::string& password,
                            const std::function<void(std::uint32_t, std::uint32_t)>& progress,
                            std::stop_token stop) override;
    Result<std::vector<DocumentRow>> documents() override;
    Result<DocumentRow> document(const std::string& sha256) override;
    Status opened(const std::string& sha256) override;
    Status forget(const std::string& sha256) override;
    Result<ChatRow> newChat(const std::string& document) override;
    Result<std::vector<ChatRow>> chats(const std::string& document) override;
    Status saveDraft(const std::string& chat, const std::string& text) override;
    Status forgetChat(const std::string& chat) override;
    Result<std::int64_t> startTurn(const std::string& chat, const std::string& question) override;
    Status saveTurn(const TurnRow& turn) override;
    Result<std::vector<TurnRow>> turns(const std::string& chat) override;
    Result<std::vector<Hit>> find(const std::string& words, const std::string& document, std::uint32_t limit,
                                  bool unfinished) override;

  private:
    bool readOnly() const { return !presence_; }
    Status writable() const;
    /// Steps to the end; NotFound when no row changed.
    Status change(SqlStatement& statement, const std::string& what);
    Status sweepDocuments();
    Result<bool> announce(const std::string& sha256, const std::filesystem::path& file);
    Result<DocumentRow> extract(const std::string& sha256, const std::filesystem::path& file, DocumentOptions options);
    Status closeWithout(const std::string& sha256, DocumentState state, const Error& why, bool encrypted);
    Status ready(const std::string& sha256, const std::string& title, const Document& document, bool encrypted);
    Status index(const std::string& sha256, const Document& document);
    Status dropWindows(const std::string& sha256);
    Status saveSources(const TurnRow& turn);
    Result<std::vector<Source>> sources(std::int64_t turn);
    Result<std::vector<Hit>> matching(const std::string& expression, const std::string& document, std::uint32_t limit);
    Result<bool> isEncrypted(const std::string& sha256);

    SqlDatabase db_;
    std::optional<Presence> presence_;  // none: a newer Carrel's library, only to be read
    LibraryOptions options_;
    DocumentStore store_;
};

}  // namespace carrel
