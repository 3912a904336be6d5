#pragma once

#include "document/document.h"
#include "document/pdf_protocol.h"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/types.h>

namespace carrel::pdf {

struct OpenedPdf {
    bool usedPassword = false;
    std::string title;
    std::vector<PageSize> sizes;  // one a page; 0 x 0 for a page that cannot be read
};

struct PdfPage {
    bool damaged = false;        // Poppler complained on this page
    std::string text;            // valid UTF-8 without control characters
    std::vector<WordBox> words;  // bytes count from this page's start
};

/// One `carrel-pdf` process with one document. Nothing it says is believed unchecked. Not thread-safe.
/// A helper that dies, hangs or breaks the protocol is killed: HelperFailed now and by every later call. Cancelled also
/// ends it.
class PdfClient {
  public:
    /// NotFound, NoPermission, Io for the document; HelperFailed where the helper does not start.
    static Result<std::unique_ptr<PdfClient>> start(const std::filesystem::path& helper,
                                                    const std::filesystem::path& document,
                                                    std::chrono::milliseconds pageLimit);
    ~PdfClient();
    PdfClient(const PdfClient&) = delete;
    PdfClient& operator=(const PdfClient&) = delete;

    /// NotADocument (damaged), NeedsPassword, WrongPassword, Unsupported (too many pages).
    Result<OpenedPdf> open(const std::string& password, std::stop_token stop);
    Result<PdfPage> text(std::uint32_t page,
                         std::stop_token stop);  // page from 0; Corrupt where that page cannot be read
    Result<PageImage> render(std::uint32_t page, std::uint32_t width, std::uint32_t height);
    Result<std::vector<OutlineEntry>> outline();
    Result<std::vector<PageLink>> links(std::uint32_t page);  // page from 0
    bool alive();

  private:
    PdfClient(pid_t pid, int socket, std::string name, std::chrono::milliseconds pageLimit)
        : pid_(pid), socket_(socket), name_(std::move(name)), pageLimit_(pageLimit) {}
    struct Limit {
        std::chrono::steady_clock::time_point end;
        std::stop_token stop;
    };
    Result<std::vector<std::byte>> ask(Kind kind, std::span<const std::byte> payload, std::chrono::milliseconds limit,
                                       std::stop_token stop, int fd = -1);
    Status send(std::span<const std::byte> bytes, int fd, const Limit& limit);
    Status receive(std::span<std::byte> into, const Limit& limit);
    Status wait(short events, const Limit& limit);
    Error fail(std::string detail);  // kills the helper
    void end();

    pid_t pid_ = -1;
    int socket_ = -1;
    std::uint32_t sequence_ = 0;
    std::string name_;
    std::chrono::milliseconds pageLimit_;
};

}  // namespace carrel::pdf
