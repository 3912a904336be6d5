// carrel-pdf: reads one PDF for Carrel, in a process of its own because files come from anywhere. It links Poppler,
// which is under the GNU GPL (2 or 3), and is therefore a separate program, spoken to over a socket
// (document/pdf_protocol.h); nothing else links Poppler.

#include "base/bytes.h"
#include "document/pdf_helper/poppler_document.h"
#include "document/pdf_helper/sandbox.h"
#include "document/pdf_protocol.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>

namespace carrel::pdf {
namespace {

bool sendAll(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(kSocketFd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

// Fills `into`; keeps the descriptor that came along, if one did.
bool receiveAll(std::span<std::byte> into, int& fd) {
    while (!into.empty()) {
        iovec piece{into.data(), into.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const auto got = ::recvmsg(kSocketFd, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        for (auto* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
            if (fd >= 0) ::close(fd);
            std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
        }
        into = into.subspan(static_cast<std::size_t>(got));
    }
    return true;
}

// Poppler reports damage only by printing. Its words go into a pipe nobody reads but to ask whether there were any.
class Complaints {
  public:
    Complaints() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
        ::dup2(ends[1], 2);
        ::close(ends[1]);
        read_ = ends[0];
    }
    bool any() {
        bool found = false;
        char buffer[4096];
        while (read_ >= 0 && ::read(read_, buffer, sizeof buffer) > 0) found = true;
        return found;
    }

  private:
    int read_ = -1;
};

class Reply {
  public:
    explicit Reply(Outcome outcome) { add(outcome); }
    template <class T>
    void add(const T& value) {
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void add(std::string_view bytes) { bytes_.append(bytes); }
    void addSized(std::string_view bytes) {
        add(static_cast<std::uint32_t>(bytes.size()));
        add(bytes);
    }
    void add(std::span<const WordBox> words) {
        bytes_.append(reinterpret_cast<const char*>(words.data()), words.size_bytes());
    }
    std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

  private:
    std::string bytes_;
};

class Server {
  public:
    int run() {
        for (;;) {
            FrameHeader header;
            int fd = -1;
            if (!receiveAll(std::as_writable_bytes(std::span(&header, 1)), fd)) return 0;
            if (header.magic != kMagic || header.version != kVersion || header.bytes > kMaxRequestBytes) return 2;
            std::vector<std::byte> payload(header.bytes);
            if (!receiveAll(payload, fd)) return 0;
            complaints_.any();
            auto reply = answer(header.kind, payload, fd);
            if (fd >= 0) ::close(fd);
            if (reply.bytes().size() > kMaxReplyBytes) reply = Reply(Outcome::TooLarge);
            header.bytes = static_cast<std::uint32_t>(reply.bytes().size());
            if (!sendAll(std::as_bytes(std::span(&header, 1))) || !sendAll(reply.bytes())) return 0;
        }
    }

  private:
    Reply answer(Kind kind, std::span<const std::byte> payload, int fd) {
        try {  // bad_alloc under the memory limit is an answer, not an end
            ByteReader in(payload, "request");
            switch (kind) {
                case Kind::Open:
                    return open({reinterpret_cast<const char*>(payload.data()), payload.size()});
                case Kind::Text:
                    return text(in);
                case Kind::Render:
                    return render(in, fd);
                case Kind::Outline:
                    return outline();
                case Kind::Links:
                    return links(in);
            }
        } catch (const std::bad_alloc&) {
            return Reply(Outcome::NoMemory);
        }
        return Reply(Outcome::NoPage);
    }

    Reply open(const std::string& password) {
        const auto result = file_.open(kDocumentFd, password);
        Reply out(result);
        if (result != Outcome::Ok) return out;
        auto title = file_.title();
        title.resize(std::min<std::size_t>(title.size(), 1024));
        out.add<std::uint32_t>(file_.usedPassword());
        out.add(file_.pages());
        out.addSized(title);
        for (const auto& size : file_.sizes()) out.add(size);
        open_ = true;
        return out;
    }

    Reply text(ByteReader& in) {
        const auto page = in.read<std::uint32_t>();
        if (!page || !open_ || *page >= file_.pages()) return Reply(Outcome::NoPage);
        PageText built;
        const auto result = file_.text(*page, built);
        Reply out(result);
        if (result != Outcome::Ok) return out;
        out.add<std::uint32_t>(complaints_.any());
        out.add(static_cast<std::uint32_t>(built.text.size()));
        out.add(static_cast<std::uint32_t>(built.words.size()));
        out.add(std::string_view(built.text));
        out.add(std::span<const WordBox>(built.words));
        return out;
    }

    Reply render(ByteReader& in, int fd) {
        const auto page = in.read<std::uint32_t>(), width = in.read<std::uint32_t>(), height = in.read<std::uint32_t>();
        if (!page || !width || !height || !open_ || fd < 0 || *page >= file_.pages()) return Reply(Outcome::NoPage);
        const std::uint64_t bytes = std::uint64_t{*width} * *height * 4;
        struct stat info {};
        if (bytes == 0 || *width > 32767 || *height > 32767 || bytes > kMaxImageBytes || ::fstat(fd, &info) != 0 ||
            static_cast<std::uint64_t>(info.st_size) < bytes)
            return Reply(Outcome::TooLarge);
        void* pixels = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (pixels == MAP_FAILED) return Reply(Outcome::NoMemory);
        const auto result = file_.render(*page, *width, *height, static_cast<std::byte*>(pixels));
        ::munmap(pixels, bytes);
        return Reply(result);
    }

    Reply outline() {
        if (!open_) return Reply(Outcome::NoPage);
        Reply out(Outcome::Ok);
        const auto entries = file_.outline();
        out.add(static_cast<std::uint32_t>(entries.size()));
        for (const auto& entry : entries) {
            out.add(entry.level);
            out.add(entry.target.page);
            out.add(entry.target.y);
            out.addSized(entry.title);
        }
        return out;
    }

    Reply links(ByteReader& in) {
        const auto page = in.read<std::uint32_t>();
        if (!page || !open_ || *page >= file_.pages()) return Reply(Outcome::NoPage);
        std::vector<PageLink> found;
        const auto result = file_.links(*page, found);
        Reply out(result);
        if (result != Outcome::Ok) return out;
        out.add(static_cast<std::uint32_t>(found.size()));
        for (const auto& link : found) {
            out.add(link.box);
            out.add(link.target.page);
            out.add(link.target.y);
            out.addSized(link.address);
        }
        return out;
    }

    Complaints complaints_;
    PopplerFile file_;
    bool open_ = false;
};

}  // namespace
}  // namespace carrel::pdf

// With --check-sandbox it enters the sandbox, tries what must be refused, and says on its standard output what it
// found.
int main(int count, char** arguments) {
    using namespace carrel::pdf;
    const bool check = count == 2 && std::strcmp(arguments[1], "--check-sandbox") == 0;
    if (!check) ::close_range(kDocumentFd + 1, ~0u, 0);
    const auto sandbox = enterSandbox();
    if (check) {
        const auto leaks = sandboxLeaks();
        const auto line = std::string("seccomp ") + (sandbox.seccomp ? "yes" : "no") + ", landlock " +
                          (sandbox.landlock ? "yes" : "no") + ", not refused: " + (leaks.empty() ? "nothing" : leaks) +
                          "\n";
        (void)!::write(1, line.data(), line.size());  // fails where it is a file: the exit status says it too
        _exit(sandbox.seccomp && leaks.empty() ? 0 : 1);
    }
    if (!sandbox.seccomp) _exit(3);  // a document is not parsed without it
    _exit(Server().run());
}
