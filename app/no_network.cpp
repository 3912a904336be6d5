#include "no_network.h"

#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

namespace carrel::app {

QString refuseInternet() {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) return QStringLiteral("seccomp is not available");
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (const int family : {AF_INET, AF_INET6, AF_PACKET}) {
        if (rc != 0) break;
        // The kernel reads 32 bits of the argument; a mask keeps the upper ones from hiding the family.
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffu, static_cast<scmp_datum_t>(family)));
    }
    if (rc == 0) rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? QString() : QString::fromLocal8Bit(std::strerror(-rc));
}

}  // namespace carrel::app
