#pragma once

#include <string>

namespace carrel::pdf {

/// What of the sandbox this kernel gave.
struct Sandbox {
    bool seccomp = false, landlock = false;
};

/// Before any byte of a document is parsed: limits on memory, processor time, file size and core dumps; Landlock that
/// leaves only fonts and Poppler's own data readable; seccomp that refuses (EPERM) all but what reading, drawing and
/// answering need. For good. The fonts' configuration is loaded here, while it can still be.
Sandbox enterSandbox();

/// Tries what must be refused and says what was not; empty: all was refused.
std::string sandboxLeaks();

}  // namespace carrel::pdf
