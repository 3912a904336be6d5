#include "document/pdf_client.h"

#include "base/bytes.h"
#include "base/file.h"
#include "document/utf8.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

namespace carrel::pdf {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kOpenLimit{60'000}, kStopLook{40};

struct Fd {
    int value = -1;
    explicit Fd(int fd) : value(fd) {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() {
        if (value >= 0) ::close(value);
    }
    int release() { return std::exchange(value, -1); }
};

// Away from the numbers that the helper's own descriptors take.
int moveUp(int fd) {
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
    ::close(fd);
    return moved;
}

int spawn(pid_t& pid, const std::string& helper, int socket, int document) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, socket, kSocketFd);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, document, kDocumentFd);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);  // Ctrl-C in a terminal is Carrel's to handle
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    char* arguments[] = {const_cast<char*>(helper.c_str()), nullptr};
    const int error = ::posix_spawn(&pid, helper.c_str(), &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

Error errorOf(Outcome outcome, const std::string& name) {
    switch (outcome) {
        case Outcome::NeedsPassword:
            return {Code::NeedsPassword, name, "the document is encrypted"};
        case Outcome::WrongPassword:
            return {Code::WrongPassword, name, "the password does not open the document"};
        case Outcome::Damaged:
            return {Code::NotADocument, name, "the PDF is damaged and cannot be opened; try to get the file again"};
        case Outcome::TooLarge:
            return {Code::Unsupported, name, "the document or page is too large"};
        case Outcome::NoMemory:
            return {Code::NoMemory, name, "the page needs more memory than the document helper may use"};
        case Outcome::NoPage:
        case Outcome::Ok:
            break;
    }
    return {Code::Corrupt, name, "the page is damaged"};
}

bool plausible(const PageSize& size) {
    return std::isfinite(size.width) && std::isfinite(size.height) && size.width >= 0 && size.height >= 0 &&
           size.width < 1e6f && size.height < 1e6f;
}

Result<Target> readTarget(ByteReader& in) {
    const auto page = in.read<std::uint32_t>();
    const auto y = in.read<float>();
    if (!page || !y || *page > kMaxPages || !std::isfinite(*y)) return in.truncated();
    return Target{.page = *page, .y = *y};
}

Result<std::string> readName(ByteReader& in) {
    const auto bytes = in.read<std::uint32_t>();
    if (!bytes || *bytes > kMaxNameBytes) return in.truncated();
    const auto name = in.take(*bytes);
    if (!name) return name.error();
    return oneLine(cleanUtf8(*name));
}

}  // namespace

Result<std::unique_ptr<PdfClient>> PdfClient::start(const std::filesystem::path& helper,
                                                    const std::filesystem::path& document,
                                                    std::chrono::milliseconds pageLimit) {
    const auto name = document.string();
    Fd file(::open(document.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.value < 0) return systemError(errno, name);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return systemError(errno, "socketpair");
    Fd ours(ends[0]), theirs(moveUp(ends[1])), moved(moveUp(file.release()));
    if (theirs.value < 0 || moved.value < 0) return systemError(errno, "descriptors");
    pid_t pid = -1;
    if (const int error = spawn(pid, helper.string(), theirs.value, moved.value); error != 0)
        return Error{Code::HelperFailed, helper.string(),
                     std::string("the document helper does not start: ") + std::strerror(error)};
    return std::unique_ptr<PdfClient>(new PdfClient(pid, ours.release(), name, pageLimit));
}

PdfClient::~PdfClient() {
    end();
}

void PdfClient::end() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

bool PdfClient::alive() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    if (pid_ <= 0) end();
    return pid_ > 0;
}

Error PdfClient::fail(std::string detail) {
    end();
    return {Code::HelperFailed, name_, std::move(detail)};
}

Status PdfClient::wait(short events, const Limit& limit) {
    for (;;) {
        if (limit.stop.stop_requested()) {
            end();
            return Error{Code::Cancelled, name_, "stopped"};
        }
        const auto left = std::chrono::ceil<milliseconds>(limit.end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return fail("the document helper gave no answer in time");
        pollfd ready{socket_, events, 0};
        const int count = ::poll(&ready, 1, static_cast<int>(std::min(left, kStopLook).count()));
        if (count > 0) return {};
        if (count < 0 && errno != EINTR) return fail(std::strerror(errno));
    }
}

Status PdfClient::send(std::span<const std::byte> bytes, int fd, const Limit& limit) {
    while (!bytes.empty()) {
        iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        if (fd >= 0) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            auto* part = CMSG_FIRSTHDR(&message);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(sizeof fd);
            std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
        }
        const auto sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            fd = -1;
        } else if (errno == EAGAIN) {
            if (const auto ready = wait(POLLOUT, limit); !ready) return ready;
        } else if (errno != EINTR) {
            return fail("the document helper is gone");
        }
    }
    return {};
}

Status PdfClient::receive(std::span<std::byte> into, const Limit& limit) {
    while (!into.empty()) {
        if (const auto ready = wait(POLLIN, limit); !ready) return ready;
        const auto got = ::recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
        if (got > 0)
            into = into.subspan(static_cast<std::size_t>(got));
        else if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return fail("the document helper ended without an answer");
    }
    return {};
}

Result<std::vector<std::byte>> PdfClient::ask(Kind kind, std::span<const std::byte> payload, milliseconds time,
                                              std::stop_token stop, int fd) {
    if (!alive()) return fail("the document helper is gone");
    const Limit limit{std::chrono::steady_clock::now() + time, std::move(stop)};
    FrameHeader header{.kind = kind, .sequence = ++sequence_, .bytes = static_cast<std::uint32_t>(payload.size())};
    ByteWriter frame;
    frame.write(header);
    frame.write(payload);
    if (const auto sent = send(frame.bytes(), fd, limit); !sent) return sent.error();
    FrameHeader reply;
    if (const auto got = receive(std::as_writable_bytes(std::span(&reply, 1)), limit); !got) return got.error();
    if (reply.magic != kMagic || reply.version != kVersion || reply.kind != kind || reply.sequence != sequence_ ||
        reply.bytes > kMaxReplyBytes)
        return fail("the document helper broke its protocol");
    std::vector<std::byte> bytes(reply.bytes);
    if (const auto got = receive(bytes, limit); !got) return got.error();
    return bytes;
}

Result<OpenedPdf> PdfClient::open(const std::string& password, std::stop_token stop) {
    if (password.size() > 1024) return Error{Code::WrongPassword, name_, "the password is too long"};
    const auto reply = ask(Kind::Open, std::as_bytes(std::span(password)), kOpenLimit, std::move(stop));
    if (!reply) return reply.error();
    const auto broken = [&] { return fail("the document helper broke its protocol"); };
    ByteReader in(*reply, "reply");
    const auto outcome = in.read<Outcome>();
    if (!outcome) return broken();
    if (*outcome != Outcome::Ok) return errorOf(*outcome, name_);
    const auto used = in.read<std::uint32_t>(), pages = in.read<std::uint32_t>(), titleBytes = in.read<std::uint32_t>();
    if (!used || !pages || !titleBytes || *pages == 0 || *pages > kMaxPages) return broken();
    const auto title = in.take(*titleBytes);
    if (!title || in.left() != *pages * sizeof(PageSize)) return broken();
    OpenedPdf opened{
        .usedPassword = *used != 0, .title = oneLine(cleanUtf8(*title)), .sizes = std::vector<PageSize>(*pages)};
    for (auto& size : opened.sizes) {
        size = *in.read<PageSize>();
        if (!plausible(size)) return broken();
    }
    return opened;
}

Result<PdfPage> PdfClient::text(std::uint32_t page, std::stop_token stop) {
    const auto reply = ask(Kind::Text, std::as_bytes(std::span(&page, 1)), pageLimit_, std::move(stop));
    if (!reply) return reply.error();
    const auto broken = [&] { return fail("the document helper broke its protocol"); };
    ByteReader in(*reply, "reply");
    const auto outcome = in.read<Outcome>();
    if (!outcome) return broken();
    if (*outcome != Outcome::Ok) return errorOf(*outcome, name_ + ", page " + std::to_string(page + 1));
    const auto damaged = in.read<std::uint32_t>(), textBytes = in.read<std::uint32_t>(),
               words = in.read<std::uint32_t>();
    if (!damaged || !textBytes || !words) return broken();
    const auto text = in.take(*textBytes);
    if (!text || in.left() != std::uint64_t{*words} * sizeof(WordBox) || !isCleanUtf8(*text)) return broken();
    PdfPage out{.damaged = *damaged != 0,
                .text = {reinterpret_cast<const char*>(text->data()), text->size()},
                .words = std::vector<WordBox>(*words)};
    std::uint64_t end = 0;
    for (auto& word : out.words) {
        word = *in.read<WordBox>();
        const auto& box = word.box;
        if (word.first < end || word.count == 0 || std::uint64_t{word.first} + word.count > *textBytes ||
            !isBoundary(out.text, word.first) || !isBoundary(out.text, word.first + word.count) ||
            !std::isfinite(box.x + box.y + box.width + box.height))
            return broken();
        end = std::uint64_t{word.first} + word.count;
    }
    return out;
}

Result<std::vector<OutlineEntry>> PdfClient::outline() {
    const auto reply = ask(Kind::Outline, {}, pageLimit_, {});
    if (!reply) return reply.error();
    const auto broken = [&] { return fail("the document helper broke its protocol"); };
    ByteReader in(*reply, "reply");
    const auto outcome = in.read<Outcome>();
    if (!outcome) return broken();
    if (*outcome != Outcome::Ok) return errorOf(*outcome, name_);
    const auto count = in.read<std::uint32_t>();
    if (!count || *count > kMaxOutline) return broken();
    std::vector<OutlineEntry> out;
    for (std::uint32_t i = 0; i < *count; ++i) {
        const auto level = in.read<std::uint32_t>();
        const auto target = readTarget(in);
        const auto title = readName(in);
        if (!level || *level >= kMaxOutlineDepth || !target || !title) return broken();
        if (!title->empty()) out.push_back({*title, *level, *target});
    }
    return out;
}

Result<std::vector<PageLink>> PdfClient::links(std::uint32_t page) {
    const auto reply = ask(Kind::Links, std::as_bytes(std::span(&page, 1)), pageLimit_, {});
    if (!reply) return reply.error();
    const auto broken = [&] { return fail("the document helper broke its protocol"); };
    ByteReader in(*reply, "reply");
    const auto outcome = in.read<Outcome>();
    if (!outcome) return broken();
    if (*outcome != Outcome::Ok) return errorOf(*outcome, name_ + ", page " + std::to_string(page + 1));
    const auto count = in.read<std::uint32_t>();
    if (!count || *count > kMaxLinks) return broken();
    std::vector<PageLink> out;
    for (std::uint32_t i = 0; i < *count; ++i) {
        const auto box = in.read<Box>();
        const auto target = readTarget(in);
        const auto address = readName(in);
        if (!box || !target || !address || !std::isfinite(box->x + box->y + box->width + box->height)) return broken();
        out.push_back({*box, *target, *address});
    }
    return out;
}

Result<PageImage> PdfClient::render(std::uint32_t page, std::uint32_t width, std::uint32_t height) {
    const std::uint64_t bytes = std::uint64_t{width} * height * 4;
    if (bytes == 0 || bytes > kMaxImageBytes) return errorOf(Outcome::TooLarge, name_);
    // Made and sealed here: the helper can neither shrink it under our reading nor grow it.
    Fd memory(::memfd_create("carrel-page", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (memory.value < 0 || ::ftruncate(memory.value, static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(memory.value, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return systemError(errno, "memfd");
    const std::uint32_t request[] = {page, width, height};
    const auto reply = ask(Kind::Render, std::as_bytes(std::span(request)), pageLimit_, {}, memory.value);
    if (!reply) return reply.error();
    const auto outcome = ByteReader(*reply, "reply").read<Outcome>();
    if (!outcome) return fail("the document helper broke its protocol");
    if (*outcome != Outcome::Ok) return errorOf(*outcome, name_ + ", page " + std::to_string(page + 1));
    auto pixels = std::make_shared<std::vector<std::byte>>(bytes);
    for (std::uint64_t done = 0; done < bytes;) {
        const auto got = ::pread(memory.value, pixels->data() + done, bytes - done, static_cast<off_t>(done));
        if (got <= 0) return systemError(got < 0 ? errno : EIO, "memfd");
        done += static_cast<std::uint64_t>(got);
    }
    for (std::uint64_t i = 3; i < bytes; i += 4) (*pixels)[i] = std::byte{0xff};
    return PageImage{.width = width, .height = height, .stride = width * 4, .pixels = std::move(pixels)};
}

}  // namespace carrel::pdf
