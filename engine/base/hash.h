#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace carrel {

std::uint64_t xxh3(std::span<const std::byte> bytes, std::uint64_t seed = 0);
std::string sha256Hex(std::span<const std::byte> bytes);
Result<std::string> sha256HexOfFile(const std::filesystem::path& file);

}  // namespace carrel
