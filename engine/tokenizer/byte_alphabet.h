#pragma once

#include <string>
#include <string_view>

namespace carrel {

/// Appends the bytes that an entry of a byte-level vocabulary stands for: it is written in GPT-2's printable alphabet.
/// False if it is not; `out` then holds a part of it.
bool appendBytes(std::string_view entry, std::string& out);

}  // namespace carrel
