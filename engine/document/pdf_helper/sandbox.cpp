#include "document/pdf_helper/sandbox.h"

#include <fcntl.h>
#include <fontconfig/fontconfig.h>
#include <iconv.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

namespace carrel::pdf {
namespace {

constexpr rlim_t kMemoryBytes = rlim_t{2} << 30;
constexpr rlim_t kCpuSeconds = 3600;  // the caller's limit per page is the one that bites

void limit(int what, rlim_t value) {
    const rlimit both{value, value};
    ::setrlimit(static_cast<__rlimit_resource>(what), &both);
}

void addAll(std::vector<std::string>& folders, FcStrList* list) {
    if (!list) return;
    while (const FcChar8* folder = FcStrListNext(list)) folders.emplace_back(reinterpret_cast<const char*>(folder));
    FcStrListDone(list);
}

// Where fonts, their cache and their configuration lie, and the character maps that Poppler reads at need.
std::vector<std::string> readableFolders() {
    std::vector<std::string> folders{"/usr/share/poppler", "/usr/share/fonts", "/usr/share/fontconfig", "/etc/fonts"};
    if (FcInit()) {
        addAll(folders, FcConfigGetFontDirs(nullptr));
        addAll(folders, FcConfigGetCacheDirs(nullptr));
    }
    return folders;
}

bool enterLandlock(const std::vector<std::string>& readable) {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return false;  // ENOSYS, or switched off
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // all of version 1
    const int rules = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
    if (rules < 0) return false;
    for (const auto& folder : readable) {
        landlock_path_beneath_attr beneath{};
        beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        beneath.parent_fd = ::open(folder.c_str(), O_PATH | O_CLOEXEC);
        if (beneath.parent_fd < 0) continue;
        ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
        ::close(beneath.parent_fd);
    }
    const bool entered = ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    ::close(rules);
    return entered;
}

bool enterSeccomp() {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) return false;
    static constexpr int kAllowed[] = {SCMP_SYS(read),
                                       SCMP_SYS(pread64),
                                       SCMP_SYS(readv),
                                       SCMP_SYS(write),
                                       SCMP_SYS(writev),
                                       SCMP_SYS(close),
                                       SCMP_SYS(lseek),
                                       SCMP_SYS(recvmsg),
                                       SCMP_SYS(recvfrom),
                                       SCMP_SYS(sendto),
                                       SCMP_SYS(sendmsg),
                                       SCMP_SYS(poll),
                                       SCMP_SYS(ppoll),
                                       SCMP_SYS(fstat),
                                       SCMP_SYS(stat),
                                       SCMP_SYS(lstat),
                                       SCMP_SYS(newfstatat),
                                       SCMP_SYS(statx),
                                       SCMP_SYS(fstatfs),
                                       SCMP_SYS(statfs),
                                       SCMP_SYS(access),
                                       SCMP_SYS(faccessat),
                                       SCMP_SYS(faccessat2),
                                       SCMP_SYS(readlink),
                                       SCMP_SYS(readlinkat),
                                       SCMP_SYS(getcwd),
                                       SCMP_SYS(getdents64),
                                       SCMP_SYS(fcntl),
                                       SCMP_SYS(fadvise64),
                                       SCMP_SYS(brk),
                                       SCMP_SYS(munmap),
                                       SCMP_SYS(mremap),
                                       SCMP_SYS(madvise),
                                       SCMP_SYS(futex),
                                       SCMP_SYS(rt_sigaction),
                                       SCMP_SYS(rt_sigprocmask),
                                       SCMP_SYS(rt_sigreturn),
                                       SCMP_SYS(sigaltstack),
                                       SCMP_SYS(clock_gettime),
                                       SCMP_SYS(clock_nanosleep),
                                       SCMP_SYS(nanosleep),
                                       SCMP_SYS(gettimeofday),
                                       SCMP_SYS(time),
                                       SCMP_SYS(getpid),
                                       SCMP_SYS(gettid),
                                       SCMP_SYS(getppid),
                                       SCMP_SYS(getuid),
                                       SCMP_SYS(geteuid),
                                       SCMP_SYS(getgid),
                                       SCMP_SYS(getegid),
                                       SCMP_SYS(getrusage),
                                       SCMP_SYS(sysinfo),
                                       SCMP_SYS(uname),
                                       SCMP_SYS(getrandom),
                                       SCMP_SYS(sched_yield),
                                       SCMP_SYS(sched_getaffinity),
                                       SCMP_SYS(exit),
                                       SCMP_SYS(exit_group),
                                       SCMP_SYS(restart_syscall),
                                       SCMP_SYS(rseq)};
    bool whole = true;
    for (const int call : kAllowed) whole &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
    // Opened for reading only; mapped and protected without the right to execute.
    constexpr std::uint64_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
    whole &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, kWriting, 0)) == 0;
    whole &=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, kWriting, 0)) == 0;
    whole &=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
    whole &=
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
    for (const int call : {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace)})
        whole &= seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) == 0;
    const bool entered = whole && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return entered;
}

// Converters are shared objects that could not be loaded later. The handles stay open for the process's life, to keep
// them.
void loadConverters() {
    constexpr const char* kPairs[][2] = {{"UTF-8", "UTF-16BE"},
                                         {"UTF-8", "UTF-16LE"},
                                         {"UTF-8", "UTF-16"},
                                         {"UTF-8", "ISO-8859-1"},
                                         {"ISO-8859-1", "UTF-8"}};
    for (const auto& [to, from] : kPairs) (void)::iconv_open(to, from);
}

}  // namespace

Sandbox enterSandbox() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_DUMPABLE, 0);
    loadConverters();
    const auto readable = readableFolders();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    ::signal(SIGXFSZ, SIG_IGN);
    limit(RLIMIT_CPU, kCpuSeconds);
#ifndef __SANITIZE_ADDRESS__  // whose shadow alone is larger
    limit(RLIMIT_AS, kMemoryBytes);
#endif
    Sandbox sandbox;
    sandbox.landlock = enterLandlock(readable);
    sandbox.seccomp = enterSeccomp();
    return sandbox;
}

std::string sandboxLeaks() {
    std::string leaks;
    const auto expectRefused = [&](const char* what, long result) {
        if (result >= 0) leaks += std::string(leaks.empty() ? "" : ", ") + what;
    };
    expectRefused("socket(AF_INET)", ::socket(AF_INET, SOCK_STREAM, 0));
    expectRefused("socket(AF_UNIX)", ::socket(AF_UNIX, SOCK_STREAM, 0));
    expectRefused("open for writing", ::open("/dev/null", O_WRONLY));
    expectRefused("create", ::open("/tmp/carrel-sandbox", O_CREAT | O_WRONLY, 0600));
    expectRefused("kill", ::kill(::getppid(), 0));
    expectRefused("fork", ::syscall(SYS_fork));
    expectRefused(
        "memory to execute",
        ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    return leaks;
}

}  // namespace carrel::pdf
