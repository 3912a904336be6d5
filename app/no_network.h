#pragma once

#include <QString>

namespace carrel::app {

/// Asks the kernel to refuse internet sockets (EPERM) to this process, all its threads and its children, for good.
/// Sockets of this machine (AF_UNIX) stay. Empty: done. Otherwise why not, in the system's words.
QString refuseInternet();

}  // namespace carrel::app
