#pragma once

#include <carrel/events.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace carrel {

enum class DocumentState : std::uint8_t { Adding, NeedsPassword, NoText, Refused, Ready };
enum class TurnState : std::uint8_t { Queued, Opening, ReadingQuestion, Answering, Done, Stopped, Failed, Interrupted };

/// One file as it was on one day.
struct DocumentRow {
    std::string sha256;        // hex; its name everywhere
    std::string title;         // the document's own, or the file's name
    std::string originalPath;  // where it came from; may be gone
    std::uint32_t pages = 0;   // 0: text without pages
    std::uint64_t fileBytes = 0, textBytes = 0;
    std::uint64_t diskBytes = 0;  // of Carrel's copy and of what was extracted from it
    DocumentState state = DocumentState::Adding;
    std::string reason;                           // for Refused and NoText: what and why
    std::vector<std::uint32_t> pagesWithoutText;  // from 1: damaged or empty pages, named to the person
    std::int64_t addedAt = 0, openedAt = 0;       // seconds since 1970
};

struct ChatRow {
    std::string id;
    std::string document;
    std::string title;
    std::string draft;  // what was typed and not sent
    std::int64_t createdAt = 0;
};

struct TurnRow {
    std::int64_t id = 0;
    std::string chat;
    std::string question, answer;
    TurnState state = TurnState::Queued;
    std::string reason;  // for Failed
    std::vector<Source> sources;
    Provenance provenance = Provenance::Shown;
    std::vector<float> pageShares;  // as in Answer
    Coverage coverage;
    std::uint32_t droppedTurns = 0;  // as in Answer
    std::int64_t askedAt = 0;
};

struct Hit {
    std::string document, place, text;
    std::string snippet;  // of the text, around the words; each that was found between bytes 2 and 3
    std::uint32_t page = 0;
    ByteSpan span;
    double score = 0;  // larger is better
};

struct LibraryOptions {
    std::filesystem::path dataDir;
    std::filesystem::path pdfHelper;
};

/// Documents, chats, drafts and word search, in SQLite on a connection of its own. One thread at a time; every call but
/// add() answers within milliseconds. What a call says is done is on disk when it returns (WAL, synchronous=FULL).
/// Turns that a crash left open are marked Interrupted when the library opens.
class Library {
  public:
    /// NoPermission, DiskFull, Io; a library of a newer Carrel opens read-only and says so on every write
    /// (Unsupported).
    static Result<std::unique_ptr<Library>> open(const LibraryOptions& options);
    virtual ~Library() = default;

    /// Copies the file into the library and extracts its text. Returns the row also when the document needs a password,
    /// has no text or was refused (state and reason say so); the same bytes again give the same row. progress: pages
    /// done, pages in all.
    virtual Result<DocumentRow> add(const std::filesystem::path& file, const std::string& password,
                                    const std::function<void(std::uint32_t, std::uint32_t)>& progress,
                                    std::stop_token stop) = 0;
    virtual Result<std::vector<DocumentRow>> documents() = 0;  // last opened first
    virtual Result<DocumentRow> document(const std::string& sha256) = 0;
    virtual Status opened(const std::string& sha256) = 0;  // moves it to the front
    virtual Status forget(const std::string& sha256) = 0;  // row first, then files; readings are Compute's to forget

    virtual Result<ChatRow> newChat(const std::string& document) = 0;
    virtual Result<std::vector<ChatRow>> chats(const std::string& document) = 0;  // newest first
    virtual Status saveDraft(const std::string& chat, const std::string& text) = 0;
    virtual Status forgetChat(const std::string& chat) = 0;

    virtual Result<std::int64_t> startTurn(const std::string& chat,
                                           const std::string& question) = 0;  // clears the draft
    virtual Status saveTurn(const TurnRow& turn) = 0;                         // state, answer so far, sources, coverage
    virtual Result<std::vector<TurnRow>> turns(const std::string& chat) = 0;  // oldest first

    /// Full-text search over 80-word windows, BM25; an empty document searches all. Best first. unfinished: the last
    /// word is being typed, and longer ones that begin so are found, too.
    virtual Result<std::vector<Hit>> find(const std::string& words, const std::string& document, std::uint32_t limit,
                                          bool unfinished = false) = 0;
};

}  // namespace carrel
