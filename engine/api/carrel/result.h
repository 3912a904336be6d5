#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace carrel {

/// Why something could not be done. Callers switch on it; the app turns it into a sentence and a next step.
enum class Code : std::uint8_t {
    InvalidArgument,  // the caller asked for something that has no meaning
    NotFound,         // no such file, document, chat or model
    NoPermission,     // the file system refused
    Io,               // a read or write failed; detail carries the system's words
    DiskFull,         // ENOSPC, EDQUOT
    NoMemory,         // the need and what there is are in detail
    Truncated,        // the file ends before its own sizes say
    Corrupt,          // a checksum or a structure that cannot be
    NotAModel,        // no GGUF
    Unsupported,      // well-formed, but of a kind that Carrel does not run; detail names it
    NotADocument,     // empty, or of a type that no reader knows
    NeedsPassword,    // encrypted, and no password was given
    WrongPassword,
    NoText,        // pages without a text layer
    HelperFailed,  // the document helper died, hung or broke its protocol
    Busy,          // another process writes this reading
    Cancelled,
    Internal,  // a bug; please report
};

/// One failure. `where` is a path, a tensor, a byte offset: whatever names the place. Neither field holds document
/// text.
struct Error {
    Code code = Code::Internal;
    std::string where;
    std::string detail;
};

/// A value or the Error that stood in its way.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    const T& operator*() const& { return assert(*this), *std::get_if<0>(&state_); }
    T& operator*() & { return assert(*this), *std::get_if<0>(&state_); }
    T&& operator*() && { return assert(*this), std::move(*std::get_if<0>(&state_)); }
    const T* operator->() const { return &**this; }
    T* operator->() { return &**this; }
    const Error& error() const { return assert(!*this), *std::get_if<1>(&state_); }

  private:
    std::variant<T, Error> state_;
};

/// Done, or why not.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}

    explicit operator bool() const { return ok_; }
    const Error& error() const { return assert(!ok_), error_; }

  private:
    Error error_;
    bool ok_ = true;
};
using Status = Result<void>;

}  // namespace carrel
