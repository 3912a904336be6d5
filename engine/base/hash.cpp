#include "base/hash.h"

#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <memory>
#include <vector>

#include "base/file.h"

namespace carrel {

std::uint64_t xxh3(std::span<const std::byte> bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

namespace {

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
    void update(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        std::string out;
        for (unsigned i = 0; i < size; ++i) {
            out += "0123456789abcdef"[digest[i] >> 4];
            out += "0123456789abcdef"[digest[i] & 15];
        }
        return out;
    }

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::string sha256Hex(std::span<const std::byte> bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.hex();
}

Result<std::string> sha256HexOfFile(const std::filesystem::path& path) {
    auto file = realFileSystem().open(path, OpenMode::Read);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    Sha256 hash;
    std::vector<std::byte> part(std::size_t{1} << 20);
    for (std::uint64_t at = 0; at < *size; at += part.size()) {
        const auto now = std::span(part).first(std::min<std::uint64_t>(part.size(), *size - at));
        if (auto read = (*file)->pread(now, at); !read) return read.error();
        hash.update(now);
    }
    return hash.hex();
}

}  // namespace carrel
