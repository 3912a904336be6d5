// replay CORPUS COUNT: the seeds, every file of the folder (what fuzzing once found), and COUNT seeded mutations of
// each seed.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "fuzz/fuzz.h"

namespace {

using Bytes = std::vector<std::byte>;

void run(const Bytes& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

/// A few small damages, most of them near the start, where headers are.
void damage(Bytes& input, std::mt19937& random) {
    constexpr std::array<std::uint64_t, 8> kLies{
        0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, std::uint64_t{1} << 63, ~std::uint64_t{0}};
    for (std::uint32_t i = 1 + random() % 4; i > 0 && !input.empty(); --i) {
        const std::size_t reach = random() % 2 ? input.size() : std::min<std::size_t>(input.size(), 256);
        const std::size_t at = random() % reach, count = std::min<std::size_t>(1 + random() % 8, input.size() - at);
        switch (random() % 5) {
            case 0:
                input[at] = static_cast<std::byte>(random());
                break;
            case 1:
                input[at] ^= std::byte{1} << (random() % 8);
                break;
            case 2:
                std::memcpy(input.data() + at, &kLies[random() % kLies.size()], count);
                break;
            case 3:
                input.erase(input.begin() + static_cast<std::ptrdiff_t>(at),
                            input.begin() + static_cast<std::ptrdiff_t>(at + count));
                break;
            default:
                if (random() % 8 == 0)
                    input.resize(at);
                else
                    input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), count,
                                 static_cast<std::byte>(random()));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::size_t files = 0;
    if (std::filesystem::exists(argv[1]))
        for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string text{std::istreambuf_iterator<char>(in), {}};
            Bytes input(text.size());
            std::memcpy(input.data(), text.data(), text.size());
            run(input);
            ++files;
        }
    const int count = std::atoi(argv[2]);
    std::mt19937 random(7);
    for (const Bytes& seed : fuzzSeeds()) {
        run(seed);
        for (int i = 0; i < count; ++i) {
            Bytes input = seed;
            damage(input, random);
            run(input);
        }
    }
    std::printf("%zu files of the corpus, %d mutations of each seed\n", files, count);
}
