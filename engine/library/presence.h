#pragma once

#include <carrel/result.h>

#include <filesystem>

namespace carrel {

/// Says that somebody uses the library, and finds out whether anybody else does: only who is alone may take open turns
/// for left behind. Who comes while another is alone waits until others are let in.
class Presence {
  public:
    static Result<Presence> enter(const std::filesystem::path& file);
    Presence(Presence&& other) noexcept;
    Presence& operator=(Presence&&) = delete;
    ~Presence();
    bool alone() const { return alone_; }
    void letOthersIn();

  private:
    explicit Presence(int fd) : fd_(fd) {}
    int fd_;
    bool alone_ = false;
};

}  // namespace carrel
