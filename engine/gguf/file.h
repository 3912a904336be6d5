#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file.h"
#include "tensor/quant.h"

namespace carrel {

/// One tensor's place in the file. shape[0] is the contiguous dimension, as GGUF writes it.
struct GgufTensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    DType type = DType::F32;
    std::uint64_t fileOffset = 0, bytes = 0;
};

/// A GGUF v2/v3 file: metadata and tensor directory, every count, size, offset and overlap checked before use. Nothing
/// is mapped: a file that shrinks later is an error and never a SIGBUS. Copies share one open file; const members from
/// any thread. Format: the GGUF specification in ggml's docs.
class GgufFile {
  public:
    /// NotAModel, Truncated, Corrupt (impossible counts or sizes, duplicate names), Unsupported (version, big-endian,
    /// arrays of arrays, a header of more than 64 MiB). A tensor of a type that Carrel does not run is no error: it is
    /// left out of `tensors()` and `unsupportedTypes()` names it. A file without tensors (a vocabulary) opens.
    static Result<GgufFile> open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t fileBytes() const { return fileBytes_; }

    std::optional<std::string_view> string(std::string_view key) const;
    std::optional<std::uint64_t> integer(std::string_view key) const;  // any integer type or bool, if not negative
    std::optional<double> real(std::string_view key) const;
    std::optional<std::span<const std::string>> strings(std::string_view key) const;
    std::optional<std::span<const float>> reals(std::string_view key) const;
    std::optional<std::span<const std::int64_t>> integers(std::string_view key) const;  // array of any integer type

    const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the file's order
    const GgufTensor* find(std::string_view name) const;
    const std::vector<std::string>& unsupportedTypes() const {
        return unsupportedTypes_;
    }  // "blk.0.ffn_up.weight: IQ2_XXS"

    /// A tensor's bytes, read with pread; Truncated if the file has shrunk since.
    Result<std::vector<std::byte>> read(const GgufTensor& tensor) const;
    /// A part of them, from `offset` on.
    Status read(const GgufTensor& tensor, std::size_t offset, std::span<std::byte> into) const;

    /// SHA-256 over header and tensor directory and a sample of every tensor: tells models apart in milliseconds.
    Result<std::string> fingerprint() const;

  private:
    using Value = std::variant<std::uint64_t, std::int64_t, double, std::string, std::vector<std::string>,
                               std::vector<float>, std::vector<std::int64_t>>;
    friend class GgufParser;
    std::filesystem::path path_;
    std::shared_ptr<File> file_;
    std::uint64_t fileBytes_ = 0;
    std::string headerHash_;
    std::map<std::string, Value, std::less<>> metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> byName_;
    std::vector<std::string> unsupportedTypes_;
};

}  // namespace carrel
