#include "gguf/file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <concepts>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "base/hash.h"

namespace carrel {

namespace {

constexpr std::array<char, 4> kMagic{'G', 'G', 'U', 'F'};
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{64} << 20;  // vocabularies of 262144 words take 10 MiB
constexpr std::uint64_t kMaxNameBytes = 65535;                      // the specification's limit for keys
constexpr std::uint64_t kReadAheadBytes = std::uint64_t{1} << 20;

// Metadata value types, numbered as in the file.
enum class Kind : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

std::uint64_t bytesOf(Kind kind) {  // of the smallest value; 0: no such type
    switch (kind) {
        case Kind::U8:
        case Kind::I8:
        case Kind::Bool:
            return 1;
        case Kind::U16:
        case Kind::I16:
            return 2;
        case Kind::U32:
        case Kind::I32:
        case Kind::F32:
            return 4;
        case Kind::String:
        case Kind::U64:
        case Kind::I64:
        case Kind::F64:
            return 8;
        case Kind::Array:
            return 12;
    }
    return 0;
}

/// A name from the file as it can be shown: short, printable ASCII.
std::string shown(std::string_view name) {
    std::string out(name.substr(0, 64));
    for (char& c : out)
        if (c < ' ' || c > '~') c = '?';
    return name.size() > out.size() ? out + "..." : out;
}

/// ggml's names of the types that Carrel does not run.
std::string typeName(std::uint32_t type) {
    switch (type) {
        case 9:
            return "Q8_1";
        case 15:
            return "Q8_K";
        case 16:
            return "IQ2_XXS";
        case 17:
            return "IQ2_XS";
        case 18:
            return "IQ3_XXS";
        case 19:
            return "IQ1_S";
        case 21:
            return "IQ3_S";
        case 22:
            return "IQ2_S";
        case 24:
            return "I8";
        case 25:
            return "I16";
        case 26:
            return "I32";
        case 27:
            return "I64";
        case 28:
            return "F64";
        case 29:
            return "IQ1_M";
        case 34:
            return "TQ1_0";
        case 35:
            return "TQ2_0";
        case 39:
            return "MXFP4";
        default:
            return "type " + std::to_string(type);
    }
}

bool multiply(std::uint64_t& product, std::uint64_t factor) {
    return !__builtin_mul_overflow(product, factor, &product);
}

}  // namespace

/// Reads one header front to back, a MiB at a time. Nothing is allocated for a count before the bytes it stands for are
/// known to fit.
class GgufParser {
  public:
    explicit GgufParser(GgufFile& out) : out_(out) {}

    Status parse() {
        std::array<char, 4> magic{};
        if (out_.fileBytes_ < magic.size())
            return Error{Code::NotAModel, out_.path_.string(), "file does not start with GGUF"};
        if (auto s = value(magic); !s) return s;
        if (magic != kMagic) return Error{Code::NotAModel, out_.path_.string(), "file does not start with GGUF"};
        std::uint32_t version = 0;
        if (auto s = value(version); !s) return s;
        if ((version & 0xffff) == 0) return error(Code::Unsupported, "big-endian GGUF");
        if (version != 2 && version != 3) return error(Code::Unsupported, "GGUF version " + std::to_string(version));
        std::uint64_t tensorCount = 0, valueCount = 0;
        if (auto s = value(tensorCount); !s) return s;
        if (auto s = value(valueCount); !s) return s;
        // A tensor takes at least 33 bytes of directory and a value 13.
        if (auto s = room(tensorCount, 33, "tensors"); !s) return s;
        if (auto s = room(valueCount, 13, "values"); !s) return s;
        for (std::uint64_t i = 0; i < valueCount; ++i)
            if (auto s = keyAndValue(); !s) return s;
        if (auto s = directory(tensorCount); !s) return s;
        out_.headerHash_ = sha256Hex(std::span(buffer_).first(at_));
        return {};
    }

  private:
    Error error(Code code, std::string detail) const {
        return {code, out_.path_.string() + " at byte " + std::to_string(at_), std::move(detail)};
    }
    std::uint64_t left() const { return out_.fileBytes_ - at_; }

    /// Makes the next `count` bytes present in buffer_.
    Status need(std::uint64_t count) {
        if (count > left()) return error(Code::Truncated, "the file ends before its header does");
        if (count > kMaxHeaderBytes - at_) return error(Code::Unsupported, "a header of more than 64 MiB");
        if (buffer_.size() - at_ >= count) return {};
        const std::uint64_t have = buffer_.size();
        const std::uint64_t want = std::min(std::max(at_ + count, have + kReadAheadBytes), out_.fileBytes_);
        buffer_.resize(want);
        return out_.file_->pread(std::span(buffer_).subspan(have), have);
    }

    /// Whether `count` items of at least `each` bytes can follow.
    Status room(std::uint64_t count, std::uint64_t each, const char* what) const {
        if (count <= std::min(left(), kMaxHeaderBytes) / each) return {};
        return error(count > kMaxHeaderBytes / each ? Code::Corrupt : Code::Truncated,
                     std::to_string(count) + " " + what + " do not fit into the file");
    }

    template <class T>
    Status value(T& into) {
        if (auto s = need(sizeof(T)); !s) return s;
        std::memcpy(&into, buffer_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return {};
    }

    Status text(std::string& into, std::uint64_t limit) {
        std::uint64_t size = 0;
        if (auto s = value(size); !s) return s;
        if (size > limit) return error(Code::Corrupt, "a name of " + std::to_string(size) + " bytes");
        if (auto s = need(size); !s) return s;
        into.assign(reinterpret_cast<const char*>(buffer_.data() + at_), size);
        at_ += size;
        return {};
    }

    /// Calls use(v) with one number of that kind, in its own type.
    template <class Use>
    Status number(Kind kind, Use&& use) {
        const auto one = [&](auto v) -> Status {
            if (auto s = value(v); !s) return s;
            return use(v);
        };
        switch (kind) {
            case Kind::U8:
            case Kind::Bool:
                return one(std::uint8_t{});
            case Kind::I8:
                return one(std::int8_t{});
            case Kind::U16:
                return one(std::uint16_t{});
            case Kind::I16:
                return one(std::int16_t{});
            case Kind::U32:
                return one(std::uint32_t{});
            case Kind::I32:
                return one(std::int32_t{});
            case Kind::U64:
                return one(std::uint64_t{});
            case Kind::I64:
                return one(std::int64_t{});
            case Kind::F32:
                return one(float{});
            case Kind::F64:
                return one(double{});
            default:
                return error(Code::Corrupt, "metadata of type " + std::to_string(static_cast<std::uint32_t>(kind)));
        }
    }

    Status keyAndValue() {
        std::string key;
        if (auto s = text(key, kMaxNameBytes); !s) return s;
        Kind kind{};
        if (auto s = value(kind); !s) return s;
        GgufFile::Value result;
        Status done = kind == Kind::String  ? text(result.emplace<std::string>(), kMaxHeaderBytes)
                      : kind == Kind::Array ? array(result)
                                            : scalar(kind, result);
        if (!done) return done;
        if (!out_.metadata_.try_emplace(key, std::move(result)).second)
            return error(Code::Corrupt, "a second value for " + shown(key));
        return {};
    }

    Status scalar(Kind kind, GgufFile::Value& into) {
        return number(kind, [&](auto v) -> Status {
            if constexpr (std::floating_point<decltype(v)>)
                into = static_cast<double>(v);
            else if (std::cmp_less(v, 0))
                into = static_cast<std::int64_t>(v);
            else
                into = static_cast<std::uint64_t>(v);
            return {};
        });
    }

    Status array(GgufFile::Value& into) {
        Kind kind{};
        std::uint64_t count = 0;
        if (auto s = value(kind); !s) return s;
        if (auto s = value(count); !s) return s;
        if (kind == Kind::Array) return error(Code::Unsupported, "an array of arrays");
        if (bytesOf(kind) == 0)
            return error(Code::Corrupt, "an array of type " + std::to_string(static_cast<std::uint32_t>(kind)));
        if (auto s = room(count, bytesOf(kind), "values of an array"); !s) return s;
        if (kind == Kind::String) {
            auto& texts = into.emplace<std::vector<std::string>>(count);
            for (auto& t : texts)
                if (auto s = text(t, kMaxHeaderBytes); !s) return s;
        } else if (kind == Kind::F32 || kind == Kind::F64) {
            auto& reals = into.emplace<std::vector<float>>(count);
            for (float& r : reals)
                if (auto s = number(kind, [&](auto v) -> Status { return r = static_cast<float>(v), Status{}; }); !s)
                    return s;
        } else {
            auto& integers = into.emplace<std::vector<std::int64_t>>(count);
            for (auto& i : integers) {
                auto s = number(kind, [&](auto v) -> Status {
                    if constexpr (std::integral<decltype(v)>) {
                        if (!std::in_range<std::int64_t>(v))
                            return error(Code::Corrupt, "an array value of 2^63 or more");
                        i = static_cast<std::int64_t>(v);
                    }
                    return {};
                });
                if (!s) return s;
            }
        }
        return {};
    }

    Status directory(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i)
            if (auto s = entry(); !s) return s;
        std::uint64_t alignment = kDefaultAlignment;
        if (out_.metadata_.contains("general.alignment")) {
            alignment = out_.integer("general.alignment").value_or(0);
            if (!std::has_single_bit(alignment) || alignment > out_.fileBytes_)
                return error(Code::Corrupt, "general.alignment is not a power of two below the file's size");
        }
        return placeTensors((at_ + alignment - 1) / alignment * alignment, alignment);
    }

    /// One line of the tensor directory. Its offset still counts from the start of the data.
    Status entry() {
        GgufTensor tensor;
        if (auto s = text(tensor.name, kMaxNameBytes); !s) return s;
        std::uint32_t dimensions = 0, type = 0;
        if (auto s = value(dimensions); !s) return s;
        if (dimensions < 1 || dimensions > 4)
            return error(Code::Corrupt, shown(tensor.name) + " has " + std::to_string(dimensions) + " dimensions");
        tensor.shape.resize(dimensions);
        std::uint64_t elements = 1;
        for (auto& d : tensor.shape) {
            if (auto s = value(d); !s) return s;
            if (d == 0 || !multiply(elements, d))
                return error(Code::Corrupt, shown(tensor.name) + " has an impossible shape");
        }
        if (auto s = value(type); !s) return s;
        if (auto s = value(tensor.fileOffset); !s) return s;
        if (!names_.emplace(tensor.name).second) return error(Code::Corrupt, "a second tensor " + shown(tensor.name));
        const auto info = dtypeInfo(type);
        if (!info) {
            out_.unsupportedTypes_.push_back(shown(tensor.name) + ": " + typeName(type));
            return {};
        }
        tensor.type = static_cast<DType>(type);
        tensor.bytes = elements / info->blockElements;
        if (tensor.shape[0] % info->blockElements != 0 || !multiply(tensor.bytes, info->blockBytes))
            return error(Code::Corrupt,
                         shown(tensor.name) + ": its rows are no whole blocks of " + std::string(info->name));
        out_.byName_.emplace(tensor.name, out_.tensors_.size());
        out_.tensors_.push_back(std::move(tensor));
        return {};
    }

    Status placeTensors(std::uint64_t dataStart, std::uint64_t alignment) {
        std::vector<const GgufTensor*> inOrder;
        for (auto& tensor : out_.tensors_) {
            const Error past{Code::Truncated, out_.path_.string(),
                             "the file ends before tensor " + shown(tensor.name) + " does"};
            if (tensor.fileOffset % alignment != 0) return error(Code::Corrupt, shown(tensor.name) + " is not aligned");
            if (dataStart > out_.fileBytes_ || tensor.fileOffset > out_.fileBytes_ - dataStart) return past;
            tensor.fileOffset += dataStart;
            if (tensor.bytes > out_.fileBytes_ - tensor.fileOffset) return past;
            inOrder.push_back(&tensor);
        }
        std::ranges::sort(inOrder, {}, &GgufTensor::fileOffset);
        for (std::size_t i = 1; i < inOrder.size(); ++i)
            if (inOrder[i - 1]->fileOffset + inOrder[i - 1]->bytes > inOrder[i]->fileOffset)
                return error(Code::Corrupt,
                             shown(inOrder[i - 1]->name) + " and " + shown(inOrder[i]->name) + " overlap");
        return {};
    }

    GgufFile& out_;
    std::vector<std::byte> buffer_;  // the file's start
    std::uint64_t at_ = 0;
    std::set<std::string, std::less<>> names_;
};

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
    std::error_code ignored;  // what is not there or may not be seen fails below, with the system's words
    const auto kind = std::filesystem::status(path, ignored).type();
    if (kind != std::filesystem::file_type::regular && std::filesystem::exists(path, ignored))
        return Error{Code::NotAModel, path.string(), "not a file"};
    auto file = realFileSystem().open(path, OpenMode::Read);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    GgufFile out;
    out.path_ = path;
    out.file_ = std::move(*file);
    out.fileBytes_ = *size;
    if (auto s = GgufParser(out).parse(); !s) return s.error();
    return out;
}

namespace {

template <class T, class Metadata>
const T* valueOf(const Metadata& metadata, std::string_view key) {
    const auto at = metadata.find(key);
    return at == metadata.end() ? nullptr : std::get_if<T>(&at->second);
}

}  // namespace

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
    if (const auto* v = valueOf<std::string>(metadata_, key)) return *v;
    return {};
}
std::optional<std::uint64_t> GgufFile::integer(std::string_view key) const {
    if (const auto* v = valueOf<std::uint64_t>(metadata_, key)) return *v;
    return {};
}
std::optional<double> GgufFile::real(std::string_view key) const {
    if (const auto* v = valueOf<double>(metadata_, key)) return *v;
    return {};
}
std::optional<std::span<const std::string>> GgufFile::strings(std::string_view key) const {
    if (const auto* v = valueOf<std::vector<std::string>>(metadata_, key)) return *v;
    return {};
}
std::optional<std::span<const float>> GgufFile::reals(std::string_view key) const {
    if (const auto* v = valueOf<std::vector<float>>(metadata_, key)) return *v;
    return {};
}
std::optional<std::span<const std::int64_t>> GgufFile::integers(std::string_view key) const {
    if (const auto* v = valueOf<std::vector<std::int64_t>>(metadata_, key)) return *v;
    return {};
}

const GgufTensor* GgufFile::find(std::string_view name) const {
    const auto at = byName_.find(name);
    return at == byName_.end() ? nullptr : &tensors_[at->second];
}

Result<std::vector<std::byte>> GgufFile::read(const GgufTensor& tensor) const {
    std::vector<std::byte> bytes(tensor.bytes);
    if (auto s = read(tensor, 0, bytes); !s) return s.error();
    return bytes;
}

Status GgufFile::read(const GgufTensor& tensor, std::size_t offset, std::span<std::byte> into) const {
    assert(offset + into.size() <= tensor.bytes);
    return file_->pread(into, tensor.fileOffset + offset);
}

Result<std::string> GgufFile::fingerprint() const {
    constexpr std::uint64_t kSampleBytes = 4096;  // from the start, the middle and the end of each tensor
    const auto header = std::as_bytes(std::span(headerHash_));
    std::vector<std::byte> sample(header.begin(), header.end());
    for (const auto& tensor : tensors_) {
        const std::uint64_t count = std::min(kSampleBytes, tensor.bytes), last = tensor.bytes - count;
        for (const std::uint64_t first : {std::uint64_t{0}, last / 2, last}) {
            sample.resize(sample.size() + count);
            if (auto s = file_->pread(std::span(sample).last(count), tensor.fileOffset + first); !s) return s.error();
        }
    }
    return sha256Hex(sample);
}

}  // namespace carrel
