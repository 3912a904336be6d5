#pragma once

#include <cstdint>

/// The pipe between Carrel and `carrel-pdf`, version 1; both ends are of one build, and each distrusts the other all
/// the same. One request, one reply, over a stream socket. The helper finds the socket at descriptor 0 and the document
/// at descriptor 3. Little-endian. A frame is a header and `bytes` of payload; a reply repeats kind and sequence.
///
///   Open    request: the password, UTF-8, may be empty
///           reply: u32 Outcome; then, for Ok: u32 used the password, u32 pages, u32 titleBytes, title (UTF-8),
///           pages x {f32 width, f32 height} in points
///   Text    request: u32 page from 0
///           reply: u32 Outcome; then, for Ok: u32 damaged (Poppler complained while it read the page), u32 textBytes,
///           u32 words, text (UTF-8, NFKC), words x {u32 first, u32 count, f32 x, y, width, height}
///   Render  request: u32 page, u32 width, u32 height in pixels, with a memfd of width * height * 4 bytes, sealed
///   against resizing
///           reply: u32 Outcome; the pixels are in the memfd
///   Outline request: nothing
///           reply: u32 Outcome; then, for Ok: u32 entries, each {u32 level, u32 page from 1 or 0, f32 y, u32 bytes,
///           title (UTF-8)}
///   Links   request: u32 page from 0
///           reply: u32 Outcome; then, for Ok: u32 links, each {f32 x, y, width, height, u32 page from 1 or 0, f32 y,
///           u32 bytes, address}
namespace carrel::pdf {

inline constexpr std::uint32_t kMagic = 0x46445043;  // "CPDF"
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::uint32_t kMaxRequestBytes = 64u << 10;
inline constexpr std::uint32_t kMaxReplyBytes = 64u << 20;
inline constexpr std::uint32_t kMaxPages = 200'000;
inline constexpr std::uint32_t kMaxImageBytes = 512u << 20;  // 8192 x 16384
inline constexpr std::uint32_t kMaxOutline = 50'000, kMaxOutlineDepth = 32, kMaxLinks = 5'000, kMaxNameBytes = 2048;
inline constexpr int kSocketFd = 0, kDocumentFd = 3;

enum class Kind : std::uint16_t { Open = 1, Text = 2, Render = 3, Outline = 4, Links = 5 };
enum class Outcome : std::uint32_t { Ok, NeedsPassword, WrongPassword, Damaged, NoPage, NoMemory, TooLarge };

struct FrameHeader {
    std::uint32_t magic = kMagic;
    std::uint16_t version = kVersion;
    Kind kind = Kind::Open;
    std::uint32_t sequence = 0;
    std::uint32_t bytes = 0;
};
static_assert(sizeof(FrameHeader) == 16);

}  // namespace carrel::pdf
