#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstring>
#include <set>

#include "base/file.h"
#include "engine/library/temporary_folder.h"

namespace carrel {

namespace {

std::span<const std::byte> asBytes(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::set<std::string> namesIn(const std::filesystem::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

template <class T>
Code codeOf(const Result<T>& result) {
    REQUIRE_FALSE(result);
    return result.error().code;
}

}  // namespace

TEST_CASE("A file is read whole up to its limit, and a byte more than the limit is refused") {
    const TemporaryFolder folder;
    const std::string text = "twelve bytes";
    const auto path = folder.write("some.txt", text);
    for (const std::uint64_t limit : {text.size(), text.size() + 1, std::size_t{1} << 40}) {
        const auto read = readFile(path, limit);
        REQUIRE(read);
        CHECK(*read == text);
    }
    CHECK(codeOf(readFile(path, text.size() - 1)) == Code::Unsupported);
    CHECK(codeOf(readFile(path, 0)) == Code::Unsupported);
    const auto empty = readFile(folder.write("empty.txt", ""), 0);
    REQUIRE(empty);
    CHECK(empty->empty());
}

TEST_CASE("A folder is no file, a missing one is not found, and the error names the path") {
    const TemporaryFolder folder;
    CHECK(codeOf(readFile(folder.path(), 100)) == Code::InvalidArgument);
    const auto missing = readFile(folder.path() / "no such file", 100);
    CHECK(codeOf(missing) == Code::NotFound);
    CHECK(missing.error().where == (folder.path() / "no such file").string());
    CHECK(codeOf(readFile(folder.write("file", "x") / "below a file", 100)) == Code::NotFound);
    CHECK_FALSE(MappedFile::open(folder.path()));
}

TEST_CASE("A replaced file holds the new bytes alone, whatever the sizes, and nothing lies beside it") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "state";
    for (const std::size_t size :
         {std::size_t{5}, std::size_t{100'000}, std::size_t{0}, std::size_t{4096}, std::size_t{1}}) {
        CAPTURE(size);
        const std::string text(size, static_cast<char>('a' + size % 26));
        REQUIRE(writeFileAtomically(path, asBytes(text)));
        const auto read = readFile(path, 1 << 20);
        REQUIRE(read);
        CHECK(*read == text);
        CHECK(namesIn(folder.path()) == std::set<std::string>{"state"});
    }
}

TEST_CASE("Leftovers of an interrupted write do not get into the next") {
    const TemporaryFolder folder;
    folder.write("state.part", std::string(1000, 'x'));
    REQUIRE(writeFileAtomically(folder.path() / "state", asBytes("new")));
    CHECK(*readFile(folder.path() / "state", 100) == "new");
    CHECK(namesIn(folder.path()) == std::set<std::string>{"state"});
}

TEST_CASE("A write that cannot happen says so and leaves nothing behind") {
    const TemporaryFolder folder;
    const auto file = folder.write("file", "old");
    CHECK(codeOf(writeFileAtomically(file / "below", asBytes("new"))) == Code::NotFound);
    CHECK(codeOf(writeFileAtomically(folder.path() / "no folder" / "state", asBytes("new"))) == Code::NotFound);
    CHECK(*readFile(file, 100) == "old");

    std::filesystem::create_directories(folder.path() / "taken" / "full");  // the name is a folder's: the rename fails
    CHECK_FALSE(writeFileAtomically(folder.path() / "taken", asBytes("new")));
    CHECK(namesIn(folder.path()) == std::set<std::string>{"file", "taken"});
    CHECK(std::filesystem::is_directory(folder.path() / "taken" / "full"));
}

TEST_CASE("Two openings of one file exclude each other, and the second may lock when the first has closed") {
    const TemporaryFolder folder;
    auto& files = realFileSystem();
    auto first = files.open(folder.path() / "lock", OpenMode::Create);
    auto second = files.open(folder.path() / "lock", OpenMode::Create);
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE((*first)->lock());
    CHECK((*first)->lock());  // once more by its holder
    CHECK(codeOf((*second)->lock()) == Code::Busy);
    first->reset();
    CHECK((*second)->lock());
}

TEST_CASE("Reads and writes move all bytes at any offset, and a read past the end is Truncated") {
    const TemporaryFolder folder;
    auto file = realFileSystem().open(folder.path() / "data", OpenMode::Create);
    REQUIRE(file);
    const std::string text = "0123456789";
    REQUIRE((*file)->pwrite(asBytes(text), 5));
    CHECK(*(*file)->size() == 15);
    std::string back(10, '?');
    const auto into = std::as_writable_bytes(std::span(back));
    REQUIRE((*file)->pread(into, 5));
    CHECK(back == text);
    for (std::uint64_t offset = 6; offset <= 20; ++offset)
        CHECK(codeOf((*file)->pread(into, offset)) == Code::Truncated);
    CHECK((*file)->pread({}, 100));
    REQUIRE((*file)->truncate(7));
    CHECK(*(*file)->size() == 7);
    CHECK((*file)->sync());
}

TEST_CASE(
    "A file opened for direct reads gives the same bytes, or is Unsupported, and says what reads must be multiples "
    "of") {
    const TemporaryFolder folder;
    auto& files = realFileSystem();
    const auto path = folder.path() / "data";
    std::string text(3 * 4096, ' ');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
    auto file = files.open(path, OpenMode::Create);
    REQUIRE(file);
    REQUIRE((*file)->pwrite(asBytes(text), 0));
    REQUIRE((*file)->sync());
    (*file)->dropCache();
    CHECK((*file)->readAlignment() == 1);
    CHECK((*file)->descriptor() >= 0);
    auto direct = files.open(path, OpenMode::Direct);
    if (!direct) {
        CHECK(codeOf(direct) == Code::Unsupported);
        return;
    }
    const std::uint32_t align = (*direct)->readAlignment();
    CHECK(align >= 1);
    CHECK(4096 % align == 0);
    alignas(4096) static std::byte back[4096];
    for (std::uint64_t at = 0; at + sizeof back <= text.size(); at += align) {
        REQUIRE((*direct)->pread(back, at));
        CHECK(std::memcmp(back, text.data() + at, sizeof back) == 0);
    }
    CHECK(codeOf(files.open(folder.path() / "missing", OpenMode::Direct)) == Code::NotFound);
}

TEST_CASE("Files and folders that are made belong to their owner alone; a missing file is removed without complaint") {
    const TemporaryFolder folder;
    auto& files = realFileSystem();
    const auto deep = folder.path() / "a" / "b" / "c";
    REQUIRE(files.makeDirectories(deep));
    CHECK(files.makeDirectories(deep));
    REQUIRE(files.open(deep / "file", OpenMode::Create));
    struct stat st {};
    REQUIRE(::stat((folder.path() / "a").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0700);
    REQUIRE(::stat((deep / "file").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    CHECK(codeOf(files.open(deep / "other", OpenMode::ReadWrite)) == Code::NotFound);
    CHECK(codeOf(files.makeDirectories(deep / "file" / "below")) == Code::NotFound);
    CHECK(files.syncDirectory(deep));
    CHECK(files.remove(folder.path() / "a"));
    CHECK(files.remove(folder.path() / "a"));
    CHECK(namesIn(folder.path()).empty());
    CHECK(*files.freeBytes(folder.path()) > 0);
}

TEST_CASE("A mapping shows the file's bytes, an empty file's too, and moves with its handle") {
    const TemporaryFolder folder;
    auto mapped = MappedFile::open(folder.write("some", "words"));
    auto empty = MappedFile::open(folder.write("empty", ""));
    REQUIRE(mapped);
    REQUIRE(empty);
    CHECK(empty->bytes().empty());
    const MappedFile moved = std::move(*mapped);
    CHECK(std::string(reinterpret_cast<const char*>(moved.bytes().data()), moved.bytes().size()) == "words");
}

}  // namespace carrel
