#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
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

/// A GGUF v2/v3 file: metadata and tensor directory, every count, size, offset and overlap with the file's end checked before use.
/// The header is read into memory, so that a file that changes or shrinks later is an error and never a SIGBUS.
/// Format: the GGUF specification in ggml's docs.
class GgufFile {
 public:
    /// NotAModel, Truncated, Corrupt (impossible counts or sizes, duplicate names), Unsupported (version, big-endian).
    /// A tensor of a type that Carrel does not know is an error only when the type is asked for: `unsupportedTypes()` names them.
    static Result<GgufFile> open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t fileBytes() const { return fileBytes_; }

    std::optional<std::string_view> string(std::string_view key) const;
    std::optional<std::uint64_t> integer(std::string_view key) const;      // any integer type or bool, if not negative
    std::optional<double> real(std::string_view key) const;
    std::optional<std::span<const std::string>> strings(std::string_view key) const;
    std::optional<std::span<const float>> reals(std::string_view key) const;
    std::optional<std::span<const std::int64_t>> integers(std::string_view key) const;   // array of any integer type

    const std::vector<GgufTensor>& tensors() const { return tensors_; }
    const GgufTensor* find(std::string_view name) const;
    const std::vector<std::string>& unsupportedTypes() const { return unsupportedTypes_; }   // "blk.0.ffn_up.weight: IQ2_XXS"

    /// A tensor's bytes, read with pread.
    Result<std::vector<std::byte>> read(const GgufTensor& tensor) const;

    /// SHA-256 over header and tensor directory and a sample of every tensor: tells models apart in milliseconds.
    Result<std::string> fingerprint() const;

 private:
    using Value = std::variant<std::uint64_t, std::int64_t, double, std::string, std::vector<std::string>, std::vector<float>,
                               std::vector<std::int64_t>>;
    std::filesystem::path path_;
    std::uint64_t fileBytes_ = 0;
    std::map<std::string, Value, std::less<>> metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> byName_;
    std::vector<std::string> unsupportedTypes_;
    std::vector<std::byte> header_;
};

}  // namespace carrel
