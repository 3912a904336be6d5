#include "engine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

// Blocks, their fibers, and where threads meet. Compiled without -fsanitize (sanitizers.h).

namespace cushim {

Thread* current = nullptr;
uint3 blockIndex{};
dim3 blockSize, gridSize;

namespace {

struct Warp {
    unsigned waiting = 0, exited = 0, syncs = 0;
    char sync[2];
};

struct Engine {
    Fiber fibers[kPools][kMaxThreads];
    char* arena[kPools] = {};
    char poolSync[kPools][2];  // blocks of one pool use the same stacks and shared memory: one after another
    Fiber* ready[kMaxThreads];
    unsigned readyCount = 0, threads = 0, alive = 0, atBarrier = 0;
    std::uint64_t barriers = 0;
    char barrierSync[2];
    Site barrierSite{};
    Warp warps[kMaxWarps];
    int pool = 0;
    std::uint64_t block = 0;  // counts blocks
    std::size_t arenaUsed = 0;
    void* dynamic = nullptr;
    Fiber main;  // whoever runs blocks
    const void* mainStack = nullptr;
    std::size_t mainStackBytes = 0;
    Running kernel;
    Order order = Order::Forward;
    Streams streams = Streams::Eager;
    std::uint64_t random = 0x9e3779b97f4a7c15ull;
    Stats stats{};
} g;

Fiber* self() {
    return reinterpret_cast<Fiber*>(current);
}

void land(boost::context::detail::transfer_t from, [[maybe_unused]] Fiber* me) {
    static_cast<Fiber*>(from.data)->context = from.fctx;
#if defined(CUSHIM_ASAN)
    const void* low;
    std::size_t bytes;
    __sanitizer_finish_switch_fiber(me->fakeStack, &low, &bytes);
    if (from.data == &g.main) {
        g.mainStack = low;
        g.mainStackBytes = bytes;
    }
#endif
}

void jump(Fiber* me, Fiber* next) {
    ++g.stats.switches;
    current = &next->thread;
    switchTo(next->tsan);
#if defined(CUSHIM_ASAN)
    if (next == &g.main)
        __sanitizer_start_switch_fiber(&me->fakeStack, g.mainStack, g.mainStackBytes);
    else
        __sanitizer_start_switch_fiber(&me->fakeStack, next->stack, kStackBytes);
#endif
    land(boost::context::detail::jump_fcontext(next->context, me), me);
}

// pick() then gives them in the configured order.
void makeReady(Fiber** fibers, unsigned count) {
    Fiber** to = g.ready + g.readyCount;
    for (unsigned i = 0; i < count; ++i) to[i] = fibers[g.order == Order::Reverse ? i : count - 1 - i];
    g.readyCount += count;
}

[[noreturn]] void deadlock() {
    for (unsigned t = 0; t < g.threads; ++t) {
        const Fiber& f = g.fibers[g.pool][t];
        const Warp& warp = g.warps[t / 32];
        if (warp.waiting >> (t % 32) & 1)
            fail(
                "deadlock: thread %u waits at %s:%d for mask %08x (exited lanes %08x, arrived %08x); %u of %u at a "
                "barrier",
                t, f.site.file, f.site.line, f.mask, warp.exited, warp.waiting, g.atBarrier, g.threads);
    }
    fail("deadlock: %u of %u threads wait at __syncthreads %s:%d", g.atBarrier, g.threads, g.barrierSite.file,
         g.barrierSite.line);
}

Fiber* pick() {
    if (g.readyCount == 0) deadlock();
    if (g.order == Order::Random) std::swap(g.ready[random() % g.readyCount], g.ready[g.readyCount - 1]);
    return g.ready[--g.readyCount];
}

void runOthers(Fiber* me) {
    if (Fiber* next = pick(); next != me) jump(me, next);
}

void fiberMain(boost::context::detail::transfer_t from) {
    Fiber* const me = self();
    land(from, me);
    for (;;) {
        char* const inOrder = g.poolSync[g.pool];
        const unsigned turn = g.block / kPools & 1;
        acquire(g.kernel.launched);
        acquire(inOrder + (turn ^ 1));  // what the pool's block before this one released
        g.kernel.task.run(g.kernel.task.of);
        release(g.kernel.finished);
        release(inOrder + turn);
        g.warps[me->thread.warp].exited |= 1u << me->thread.lane;
        if (g.atBarrier != 0)
            fail("thread left the kernel while %u others wait at __syncthreads %s:%d", g.atBarrier, g.barrierSite.file,
                 g.barrierSite.line);
        jump(me, --g.alive == 0 ? &g.main : pick());
    }
}

char* pages(std::size_t bytes) {
    void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("no memory for fibers");
    return static_cast<char*>(p);
}

void needFibers(unsigned count) {
    if (g.arena[g.pool] == nullptr) {
        g.arena[g.pool] = pages(kArenaBytes);
        g.arenaUsed = kArenaBytes;  // the first block, too, starts from one that is forbidden
    }
    for (unsigned t = 0; t < count; ++t) {
        Fiber& f = g.fibers[g.pool][t];
        if (f.stack != nullptr) continue;
        char* const guarded = pages(kStackBytes + 4096);
        mprotect(guarded, 4096, PROT_NONE);
        f.stack = guarded + 4096;
        // Tops apart from each other, or all stacks would share their cache sets.
        f.context = boost::context::detail::make_fcontext(f.stack + kStackBytes - (t % 64) * 64, kStackBytes - 64 * 64,
                                                          fiberMain);
        f.tsan = newFiber();
    }
}

void* takeShared(std::size_t bytes, std::size_t align) {
    constexpr std::size_t kGap = 64;  // forbidden: an index one past an array falls into it
    g.arenaUsed = (g.arenaUsed + kGap + align - 1) / align * align;
    if (g.arenaUsed + bytes > kArenaBytes) fail("block wants more than %zu bytes of shared memory", kArenaBytes);
    char* const at = g.arena[g.pool] + g.arenaUsed;
    permit(at, bytes);
    fillNan(at, (bytes + 7) / 8 * 8);
    g.arenaUsed += (bytes + 15) / 16 * 16;
    return at;
}

void runBlock() {
    ++g.block;
    ++g.stats.blocks;
    g.pool = static_cast<int>(g.block % kPools);
    needFibers(g.threads);
    if (g.arenaUsed != 0) forbid(g.arena[g.pool], kArenaBytes);
    g.arenaUsed = 0;
    g.dynamic = takeShared(g.kernel.sharedBytes, 128);
    g.atBarrier = g.readyCount = 0;
    g.alive = g.threads;
    for (unsigned w = 0; w * 32 < g.threads; ++w) g.warps[w].waiting = g.warps[w].exited = 0;
    Fiber* fibers[kMaxThreads];
    for (unsigned t = 0; t < g.threads; ++t) {
        fibers[t] = &g.fibers[g.pool][t];
        fibers[t]->thread = {
            {t % blockSize.x, t / blockSize.x % blockSize.y, t / blockSize.x / blockSize.y}, t, t & 31, t >> 5};
    }
    makeReady(fibers, g.threads);
    jump(&g.main, pick());
}

// What lane `l` of those that met gets.
std::uint64_t exchanged(const Fiber* lanes, int l, WarpOp op, unsigned mask, Site site) {
    const Fiber& f = lanes[l];
    int from = l;
    if (op == WarpOp::Shuffle) from = f.argument & 31;
    if (op == WarpOp::Xor) from = l ^ f.argument;
    if (op == WarpOp::Up && l >= f.argument) from = l - f.argument;
    if (op == WarpOp::Down && l + f.argument < 32) from = l + f.argument;
    if ((mask >> from & 1) == 0)
        fail("shuffle at %s:%d reads lane %d, which is not in mask %08x", site.file, site.line, from, mask);
    return lanes[from].value;
}

void checkMeeting(const Fiber* lanes, const Warp& warp, const Fiber& me, WarpOp op, unsigned mask, Site site) {
    const unsigned left = g.threads - me.thread.warp * 32, present = left >= 32 ? 0xffffffffu : (1u << left) - 1;
    if ((mask >> me.thread.lane & 1) == 0)
        fail("lane %u calls a warp operation at %s:%d but is not in its mask %08x", me.thread.lane, site.file,
             site.line, mask);
    if ((mask & ~present) != 0)
        fail("warp operation at %s:%d names lanes the block does not have (mask %08x, present %08x)", site.file,
             site.line, mask, present);
    if ((mask & warp.exited) != 0)
        fail("warp operation at %s:%d names lanes that left the kernel (mask %08x, exited %08x)", site.file, site.line,
             mask, warp.exited);
    if (const unsigned met = warp.waiting & mask; met != 0) {
        const Fiber& other = lanes[__builtin_ctz(met)];
        if (other.mask != mask || other.op != op || other.site.id != site.id || other.site.line != site.line)
            fail("lanes of one warp meet in different operations: %s:%d (mask %08x) and %s:%d (mask %08x)",
                 other.site.file, other.site.line, other.mask, site.file, site.line, mask);
    }
}

}  // namespace

void configure(Order order, Streams streams, std::uint64_t seed) {
    g.order = order;
    g.streams = streams;
    g.random = seed * 2 + 0x9e3779b97f4a7c15ull;
}
Stats& stats() {
    return g.stats;
}
Order order() {
    return g.order;
}
bool lazy() {
    return g.streams == Streams::Lazy;
}
std::uint64_t random() {
    g.random ^= g.random << 13;
    g.random ^= g.random >> 7;
    g.random ^= g.random << 17;
    return g.random;
}

void fail(const char* format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    std::fprintf(stderr, "cushim: %s", text);
    if (current != nullptr && current != &g.main.thread)
        std::fprintf(stderr, " [kernel of %s, block %u,%u,%u thread %u,%u,%u]", g.kernel.from, blockIndex.x,
                     blockIndex.y, blockIndex.z, current->index.x, current->index.y, current->index.z);
    std::fprintf(stderr, "\n");
    std::fflush(stderr);
    _exit(kFound);
}

// Must not become memset, which sanitizers intercept and take for the running fiber's.
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void fillNan(void* at, std::size_t bytes) {
    auto* words = static_cast<volatile std::uint64_t*>(at);
    for (std::size_t i = 0; i < bytes / 8; ++i) words[i] = ~0ull;
}

void runKernel(const Running& kernel, dim3 grid, dim3 block) {
    g.kernel = kernel;
    blockSize = block;
    gridSize = grid;
    g.threads = block.x * block.y * block.z;
    g.main.tsan = kernel.streamFiber;
    const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
    ++g.stats.launches;
    g.stats.threads += g.threads * blocks;
    for (std::uint64_t i = 0; i < blocks; ++i) {
        const std::uint64_t b = g.order == Order::Reverse ? blocks - 1 - i : i;
        blockIndex = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                      static_cast<unsigned>(b / grid.x / grid.y)};
        runBlock();
    }
    current = nullptr;
}

void syncThreads(Site site) {
    if (g.alive != g.threads)
        fail("__syncthreads %s:%d reached after %u threads of the block had left the kernel", site.file, site.line,
             g.threads - g.alive);
    if (g.atBarrier == 0)
        g.barrierSite = site;
    else if (site.id != g.barrierSite.id)
        fail("threads of one block wait at different __syncthreads: %s:%d and %s:%d", g.barrierSite.file,
             g.barrierSite.line, site.file, site.line);
    char* const sync = &g.barrierSync[g.barriers & 1];
    release(sync);
    if (++g.atBarrier == g.threads) {
        ++g.stats.barriers;
        ++g.barriers;
        g.atBarrier = 0;
        Fiber* all[kMaxThreads];
        for (unsigned t = 0; t < g.threads; ++t) all[t] = &g.fibers[g.pool][t];
        makeReady(all, g.threads);
    }
    runOthers(self());
    acquire(sync);
}

std::uint64_t warpOp(WarpOp op, unsigned mask, std::uint64_t value, int argument, Site site) {
    Fiber* const me = self();
    Fiber* const lanes = me - me->thread.lane;
    Warp& warp = g.warps[me->thread.warp];
    checkMeeting(lanes, warp, *me, op, mask, site);
    me->mask = mask;
    me->op = op;
    me->value = value;
    me->argument = argument;
    me->site = site;
    char* const sync = &warp.sync[warp.syncs & 1];
    if (op == WarpOp::Sync) release(sync);  // shuffles and votes order no memory, by CUDA's own rules
    warp.waiting |= 1u << me->thread.lane;
    if ((warp.waiting & mask) == mask) {
        ++g.stats.warpOps;
        if (op == WarpOp::Sync) ++warp.syncs;
        Fiber* met[32];
        unsigned count = 0;
        std::uint64_t votes = 0;
        for (unsigned m = mask; m != 0; m &= m - 1) {
            const int l = __builtin_ctz(m);
            met[count++] = lanes + l;
            votes |= (lanes[l].value & 1) << l;
        }
        for (unsigned i = 0; i < count && op != WarpOp::Sync; ++i)
            met[i]->result =
                op == WarpOp::Ballot ? votes : exchanged(lanes, static_cast<int>(met[i]->thread.lane), op, mask, site);
        warp.waiting &= ~mask;
        makeReady(met, count);
    }
    runOthers(me);
    if (op == WarpOp::Sync) acquire(sync);
    return me->result;
}

void* sharedArray(SharedSlot& slot, std::size_t bytes, std::size_t align) {
    if (slot.block[g.pool] != g.block) {
        slot.at[g.pool] = takeShared(bytes, std::max<std::size_t>(align, 16));
        slot.block[g.pool] = g.block;
    }
    return slot.at[g.pool];
}
void* dynamicShared() {
    return g.dynamic;
}

bool inSharedOrStack(const void* p, std::size_t bytes, Target* target, const char** why) {
    const auto* c = static_cast<const char*>(p);
    const char *stack = self()->stack, *arena = g.arena[g.pool];
    if (c >= stack && c < stack + kStackBytes) return *target = Target::Own, true;
    if (c < arena || c >= arena + kArenaBytes) return false;
    const bool inside = c + bytes <= arena + g.arenaUsed;
    if (!inside) *why = "beyond this block's shared memory";
    *target = inside ? Target::Shared : Target::Bad;
    return true;
}
bool inArguments(const void* p) {
    constexpr std::ptrdiff_t kMostBytes = 512;
    const auto away = static_cast<const char*>(p) - static_cast<const char*>(g.kernel.task.of);
    return away >= 0 && away < kMostBytes;
}

}  // namespace cushim
