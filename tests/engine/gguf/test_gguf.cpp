// A GGUF is what somebody downloaded: every number in it may be a lie.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/bytes.h"
#include "gguf/file.h"
#include "models/tiny_model.h"

using namespace carrel;

namespace {

struct TempFile {
    TempFile() {
        std::string name = (std::filesystem::temp_directory_path() / "carrel-gguf-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
        path = folder / "model.gguf";
    }
    ~TempFile() { std::filesystem::remove_all(folder); }
    void write(std::span<const std::byte> bytes) const {
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    std::filesystem::path folder, path;
};

/// Writes GGUF headers, right ones and wrong ones.
class Header {
  public:
    Header(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
        out_.write(std::array{'G', 'G', 'U', 'F'});
        number(version).number(tensors).number(values);
    }
    template <class T>
    Header& number(T value) {
        out_.write(value);
        return *this;
    }
    Header& text(std::string_view s) {
        number(std::uint64_t{s.size()});
        out_.write(std::as_bytes(std::span(s)));
        return *this;
    }
    Header& value(std::string_view key, std::uint32_t u32) { return text(key).number(std::uint32_t{4}).number(u32); }
    Header& tensor(std::string_view name, std::initializer_list<std::uint64_t> shape, std::uint32_t type,
                   std::uint64_t offset) {
        text(name).number(static_cast<std::uint32_t>(shape.size()));
        for (const std::uint64_t d : shape) number(d);
        return number(type).number(offset);
    }
    Header& data(std::size_t bytes, std::size_t alignment = 32) {
        while (out_.bytes().size() % alignment != 0) number(std::uint8_t{0});
        for (std::size_t i = 0; i < bytes; ++i) number(static_cast<std::uint8_t>(i));
        return *this;
    }
    Result<GgufFile> open() const {
        const TempFile file;
        file.write(out_.bytes());
        return GgufFile::open(file.path);
    }

  private:
    ByteWriter out_;
};

Code codeOf(const Result<GgufFile>& file) {
    REQUIRE_FALSE(file);
    CHECK_FALSE(file.error().detail.empty());
    return file.error().code;
}
constexpr std::uint64_t kHuge = std::uint64_t{1} << 63;

}  // namespace

TEST_CASE("a well-formed file gives back its values and its tensors' bytes") {
    const auto file = Header(2, 3)
                          .value("general.count", 7)
                          .text("general.name")
                          .number(std::uint32_t{8})
                          .text("tiny")
                          .text("list")
                          .number(std::uint32_t{9})
                          .number(std::uint32_t{1})
                          .number(std::uint64_t{2})
                          .number(std::int8_t{-1})
                          .number(std::int8_t{5})
                          .tensor("b", {4, 2}, 0, 64)
                          .tensor("a", {32}, 8, 0)
                          .data(96)
                          .open();
    REQUIRE(file);
    CHECK(file->integer("general.count") == 7);
    CHECK(file->string("general.name") == "tiny");
    CHECK(file->integers("list")->front() == -1);
    CHECK_FALSE(file->integer("general.name"));
    CHECK_FALSE(file->string("absent"));
    REQUIRE(file->find("a"));
    CHECK(file->find("a")->bytes == 34);
    CHECK(file->find("b")->bytes == 32);
    const auto bytes = file->read(*file->find("b"));
    REQUIRE(bytes);
    CHECK((*bytes)[0] == std::byte{64});
}

TEST_CASE("a vocabulary without tensors opens, with or without padding") {
    CHECK(Header(0, 1).value("k", 1).open());
    CHECK(Header(0, 1, 2).value("k", 1).data(0).open());
}

TEST_CASE("what is no GGUF, or of another version or byte order, is told apart") {
    const TempFile file;
    CHECK(codeOf(GgufFile::open(file.folder / "absent")) == Code::NotFound);
    CHECK(codeOf(GgufFile::open(file.folder)) == Code::NotAModel);
    file.write({});
    CHECK(codeOf(GgufFile::open(file.path)) == Code::NotAModel);
    file.write(std::as_bytes(std::span("%PDF-1.7 and so on")));
    CHECK(codeOf(GgufFile::open(file.path)) == Code::NotAModel);
    CHECK(codeOf(Header(0, 0, 1).open()) == Code::Unsupported);
    CHECK(codeOf(Header(0, 0, 4).open()) == Code::Unsupported);
    CHECK(codeOf(Header(0, 0, 0x03000000).open()) == Code::Unsupported);
}

TEST_CASE("counts and lengths that cannot be are refused before anything is allocated") {
    for (const std::uint64_t count :
         {kHuge, std::uint64_t{1} << 60, std::uint64_t{1000}, std::numeric_limits<std::uint64_t>::max()}) {
        CAPTURE(count);
        CHECK_FALSE(Header(count, 0).data(64).open());
        CHECK_FALSE(Header(0, count).data(64).open());
        CHECK_FALSE(Header(0, 1).number(count).data(64).open());                                     // a key
        CHECK_FALSE(Header(0, 1).text("k").number(std::uint32_t{8}).number(count).data(64).open());  // a string
        for (const std::uint32_t type : {0U, 7U, 8U, 12U})                                           // arrays
            CHECK_FALSE(Header(0, 1).text("k").number(std::uint32_t{9}).number(type).number(count).data(64).open());
        CHECK_FALSE(
            Header(1, 0).text("t").number(static_cast<std::uint32_t>(count | 5)).data(256).open());  // dimensions
    }
}

TEST_CASE("arrays of arrays and values of no type are refused") {
    CHECK(
        codeOf(
            Header(0, 1).text("k").number(std::uint32_t{9}).number(std::uint32_t{9}).number(std::uint64_t{0}).open()) ==
        Code::Unsupported);
    CHECK(codeOf(Header(0, 1)
                     .text("k")
                     .number(std::uint32_t{9})
                     .number(std::uint32_t{13})
                     .number(std::uint64_t{0})
                     .open()) == Code::Corrupt);
    CHECK(codeOf(Header(0, 1).text("k").number(std::uint32_t{13}).data(64).open()) == Code::Corrupt);
}

TEST_CASE("names are unique") {
    CHECK(codeOf(Header(0, 2).value("k", 1).value("k", 2).open()) == Code::Corrupt);
    CHECK(codeOf(Header(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).data(64).open()) == Code::Corrupt);
}

TEST_CASE("a tensor's shape is between one and four numbers above zero whose product can be") {
    CHECK(codeOf(Header(1, 0).tensor("t", {}, 0, 0).data(64).open()) == Code::Corrupt);
    CHECK(codeOf(Header(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).data(64).open()) == Code::Corrupt);
    CHECK(codeOf(Header(1, 0).tensor("t", {0, 4}, 0, 0).data(64).open()) == Code::Corrupt);
    CHECK(codeOf(Header(1, 0).tensor("t", {kHuge, 2}, 0, 0).data(64).open()) == Code::Corrupt);
    CHECK(codeOf(Header(1, 0).tensor("t", {kHuge - 1, 1}, 0, 0).data(64).open()) ==
          Code::Corrupt);                                                                  // its bytes overflow
    CHECK(codeOf(Header(1, 0).tensor("t", {33}, 8, 0).data(64).open()) == Code::Corrupt);  // no whole block
}

TEST_CASE("a tensor lies inside the file, aligned, over no other") {
    CHECK(codeOf(Header(1, 0).tensor("t", {17}, 0, 0).data(64).open()) == Code::Truncated);
    CHECK(codeOf(Header(1, 0).tensor("t", {8}, 0, 64).data(64).open()) == Code::Truncated);
    CHECK(codeOf(Header(1, 0).tensor("t", {8}, 0, kHuge).data(64).open()) == Code::Truncated);
    CHECK(codeOf(Header(1, 0).tensor("t", {8}, 0, 8).data(64).open()) == Code::Corrupt);
    CHECK(codeOf(Header(2, 0).tensor("t", {16}, 0, 0).tensor("u", {8}, 0, 32).data(64).open()) == Code::Corrupt);
}

TEST_CASE("an alignment is a power of two that the file can hold") {
    for (const std::uint32_t bad : {0U, 3U, 48U, 0x80000000U}) {
        CAPTURE(bad);
        CHECK(codeOf(Header(1, 1).value("general.alignment", bad).tensor("t", {8}, 0, 0).data(64).open()) ==
              Code::Corrupt);
    }
    CHECK(Header(1, 1).value("general.alignment", 64).tensor("t", {8}, 0, 0).data(64, 64).open());
}

TEST_CASE("a tensor of a type that cannot be run is named and left out") {
    const auto file = Header(2, 0).tensor("known", {8}, 0, 0).tensor("other", {256}, 16, 32).data(128).open();
    REQUIRE(file);
    CHECK(file->tensors().size() == 1);
    CHECK(file->unsupportedTypes() == std::vector<std::string>{"other: IQ2_XXS"});
}

TEST_CASE("every prefix of a model is an error and no crash") {
    const auto whole = tinyModel({.layers = 1, .heads = 2, .kvHeads = 1, .headDim = 32, .ffn = 64});
    const TempFile file;
    for (std::size_t size = 0; size < whole.size(); size = size < 20000 ? size + 37 : size * 2) {
        CAPTURE(size);
        file.write(std::span(whole).first(size));
        CHECK_FALSE(GgufFile::open(file.path));
    }
    file.write(whole);
    CHECK(GgufFile::open(file.path));
}

TEST_CASE("a file that shrinks after it was opened is an error") {
    const auto whole = tinyModel({.layers = 1, .heads = 2, .kvHeads = 1, .headDim = 32, .ffn = 64});
    const TempFile path;
    path.write(whole);
    const auto file = GgufFile::open(path.path);
    REQUIRE(file);
    std::filesystem::resize_file(path.path, whole.size() / 2);
    const auto last = file->read(file->tensors().back());
    REQUIRE_FALSE(last);
    CHECK(last.error().code == Code::Truncated);
    CHECK_FALSE(file->fingerprint());
}

TEST_CASE("a fingerprint follows header and weights, not the path") {
    TinyModelSpec spec{.layers = 1, .heads = 2, .kvHeads = 1, .headDim = 32, .ffn = 64};
    const auto fingerprint = [](const TinyModelSpec& s) {
        const TempFile path;
        path.write(tinyModel(s));
        const auto file = GgufFile::open(path.path);
        REQUIRE(file);
        const auto print = file->fingerprint();
        REQUIRE(print);
        return *print;
    };
    const std::string first = fingerprint(spec);
    CHECK(first.size() == 64);
    CHECK(fingerprint(spec) == first);
    spec.seed = 2;
    CHECK(fingerprint(spec) != first);
    spec.seed = 1;
    spec.context = 4096;
    CHECK(fingerprint(spec) != first);
}
