// bench_disk FILE-or-FOLDER: what the disk under it can do. Random direct reads with io_uring, by size and queue depth:
// the figures from which the size of an extent and of a read were chosen. Makes a file of 1 GiB where there is none.
#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kFileBytes = std::size_t{1} << 30, kChunk = std::size_t{4} << 20;
constexpr double kSecondsEach = 2;

using Memory = std::unique_ptr<std::byte, decltype(&std::free)>;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "bench_disk: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Noise, so that nothing below can compress it or leave holes; synced and out of the page cache.
void makeFile(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) fail(path);
    std::mt19937_64 random(7);
    std::vector<std::uint64_t> noise(kChunk / 8);
    for (std::size_t at = 0; at < kFileBytes; at += kChunk) {
        for (auto& word : noise) word = random();
        if (::pwrite(fd, noise.data(), kChunk, static_cast<off_t>(at)) != static_cast<ssize_t>(kChunk)) fail(path);
    }
    if (::fdatasync(fd) != 0) fail(path);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
}

/// Reads per second of `bytes` at random places, `depth` of them always under way.
double measure(int fd, std::uint64_t fileBytes, std::size_t bytes, unsigned depth) {
    io_uring ring{};
    if (const int failed = ::io_uring_queue_init(depth, &ring, 0); failed != 0) {
        errno = -failed;
        fail("io_uring");
    }
    const Memory memory(static_cast<std::byte*>(std::aligned_alloc(4096, bytes * depth)), &std::free);
    std::mt19937_64 random(bytes + depth);
    const auto start = [&](std::uint64_t slot) {
        auto* entry = ::io_uring_get_sqe(&ring);
        const std::uint64_t offset = random() % (fileBytes / bytes) * bytes;
        ::io_uring_prep_read(entry, fd, memory.get() + slot * bytes, static_cast<unsigned>(bytes), offset);
        ::io_uring_sqe_set_data64(entry, slot);
    };
    for (unsigned slot = 0; slot < depth; ++slot) start(slot);
    std::size_t done = 0, underWay = depth;
    const double from = now();
    double took = 0;
    while (underWay > 0) {
        ::io_uring_submit_and_wait(&ring, 1);
        took = now() - from;
        io_uring_cqe* entry = nullptr;
        while (::io_uring_peek_cqe(&ring, &entry) == 0) {
            const std::uint64_t slot = entry->user_data;
            if (entry->res != static_cast<int>(bytes)) {
                errno = entry->res < 0 ? -entry->res : EIO;
                fail("read");
            }
            ::io_uring_cqe_seen(&ring, entry);
            ++done;
            --underWay;
            if (took >= kSecondsEach) continue;
            start(slot);
            ++underWay;
        }
    }
    ::io_uring_queue_exit(&ring);
    return static_cast<double>(done) / took;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: bench_disk FILE-or-FOLDER\n");
        return 2;
    }
    const bool folder = std::filesystem::is_directory(argv[1]);
    const std::string path = folder ? std::string(argv[1]) + "/bench_disk.tmp" : argv[1];
    if (folder || !std::filesystem::exists(path)) makeFile(path);
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) fail(path);
    if (folder) ::unlink(path.c_str());
    struct stat st {};
    if (::fstat(fd, &st) != 0) fail(path);
    const auto fileBytes = static_cast<std::uint64_t>(st.st_size);
    if (fileBytes < kChunk) {
        std::fprintf(stderr, "bench_disk: %s is too small\n", path.c_str());
        return 1;
    }
    std::printf("random direct reads of %s, io_uring: MiB/s (reads/s)\n\n", path.c_str());
    std::printf("| read | depth 1 | depth 8 | depth 32 |\n|---|---|---|---|\n");
    for (const std::size_t kib : {4, 16, 64, 256, 1024}) {
        std::printf("| %zu KiB |", kib);
        for (const unsigned depth : {1u, 8u, 32u}) {
            const double perSecond = measure(fd, fileBytes, kib << 10, depth);
            std::printf(" %.0f (%.0f) |", perSecond * static_cast<double>(kib) / 1024, perSecond);
            std::fflush(stdout);
        }
        std::printf("\n");
    }
    ::close(fd);
}
