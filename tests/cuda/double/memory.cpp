/* memory.cpp: device memory that the host can't touch: one reserved range behind a protection key, or
 * mprotect where the processor has no keys, open while kernels run, and where a copy is made. New and freed
 * memory is NaN; zones around every allocation must stay as they are. Addresses are never used twice: a
 * megabyte whose allocations were all freed goes back to the system, and nobody can touch it. */
#include "double.h"
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <sys/mman.h>

namespace twin
{
struct Allocation {
    size_t bytes;
    bool freed;
};
static const char MARK = (char)0xfe; /* what zones are full of */
char *arena;
size_t arena_used;
__thread char *shared_at;
static std::map<char *, Allocation> allocations, pinned_blocks;
static __thread const std::pair<char *const, Allocation> *latest;
static size_t in_use, limit = (size_t)8 << 30;
static int key = -1, depth;
static struct sigaction before; /* LuaJIT's, or none */

/* Allocations that live in each megabyte of the range: mprotect takes time for every page that it passes. */
enum : size_t { CHUNK = 1 << 20, PAGE = 4096 };
enum : uint32_t { GONE = UINT32_MAX };
static std::vector<uint32_t> live;

static size_t page_above(size_t at)
{
    return (at + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void set_open(bool open)
{
    if (key >= 0) {
        pkey_set(key, open ? 0 : PKEY_DISABLE_ACCESS);
        return;
    }
    for (size_t c = 0, end; c < live.size(); c = end) {
        for (end = c + 1; end < live.size() && (live[end] == GONE) == (live[c] == GONE);)
            end++;
        size_t to = std::min(end * CHUNK, page_above(arena_used));
        if (live[c] != GONE)
            mprotect(arena + c * CHUNK, to - c * CHUNK, open ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
}

/* Where no Window stands, these bytes are open while it does. */
struct Gap {
    char *from;
    size_t bytes;
    Window *all = nullptr;

    Gap(const void *p, size_t n)
        : from(arena + ((size_t)((const char *)p - arena) & ~(size_t)(PAGE - 1))),
          bytes(page_above((size_t)((const char *)p + n - from)))
    {
        if (key >= 0)
            all = new Window;
        else if (!depth)
            mprotect(from, bytes, PROT_READ | PROT_WRITE);
    }
    ~Gap()
    {
        if (key < 0 && !depth)
            mprotect(from, bytes, PROT_NONE);
        delete all;
    }
};

/* Counts an allocation at `at` bytes of the range in, or out, which was counted in. */
static void count(size_t at, size_t room, bool in)
{
    live.resize(std::max(live.size(), arena_used / CHUNK + 1), 0);
    for (size_t c = at / CHUNK; c <= (at + room - 1) / CHUNK; c++)
        live[c] += in ? 1 : ~0u;
    /* what was freed, and the chunk that the last allocation has left behind */
    size_t first = in && at / CHUNK ? at / CHUNK - 1 : at / CHUNK;
    for (size_t c = first; c <= (at + room - 1) / CHUNK; c++)
        if (!live[c] && (c + 1) * CHUNK <= arena_used) {
            live[c] = GONE;
            mmap(arena + c * CHUNK, CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                 -1, 0);
        }
}

static void touched(int, siginfo_t *info, void *)
{
    char *at = (char *)info->si_addr;
    sigaction(SIGSEGV, &before, nullptr);
    if (on_device(at) && !block) {
        auto i = allocations.upper_bound(at);
        if (i == allocations.begin())
            fault("touched shared memory at %p", (void *)at);
        --i;
        fault("touched device memory at %p, byte %td of an allocation of %zu bytes", (void *)at,
              at - i->first, i->second.bytes);
    }
    if (block)
        fault("touched %p, which is %s", (void *)at, on_device(at) ? "freed memory" : "no memory");
}

static void zones_check();
static void start()
{
    if (arena)
        return;
    const char *bytes = getenv("GAL_DOUBLE_MEMORY");
    if (bytes)
        limit = strtoull(bytes, nullptr, 10);
    key = getenv("GAL_DOUBLE_MPROTECT") ? -1 : pkey_alloc(0, 0);
    arena = (char *)mmap(nullptr, RANGE, key >= 0 ? PROT_READ | PROT_WRITE : PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        fault("no addresses left for device memory");
    arena_used = 2 * (SHARED_BYTES + ZONE); /* the shared memory of the two threads that run blocks */
    shared_at = arena;
    count(0, arena_used, true);
    if (key >= 0)
        pkey_mprotect(arena, RANGE, PROT_READ | PROT_WRITE, key);
    set_open(true);
    std::memset(arena, 0xff, arena_used);
    set_open(false);
    struct sigaction action = {};
    action.sa_sigaction = touched, action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before);
    atexit(zones_check);
}

/* The second of the threads. */
void open_thread()
{
    shared_at = arena + SHARED_BYTES + ZONE;
    if (key >= 0)
        pkey_set(key, 0);
}

Window::Window()
{
    start();
    if (depth++ == 0)
        set_open(true);
}

Window::~Window()
{
    if (--depth == 0)
        set_open(false);
}

bool pinned(const void *p, size_t bytes)
{
    auto i = pinned_blocks.upper_bound((char *)p);
    return i != pinned_blocks.begin() && (const char *)p + bytes <= (--i)->first + i->second.bytes;
}

void check_range(const void *p, size_t bytes, bool write, const char *what, const void *caller)
{
    auto place = [&] { return caller ? line_of(caller) : std::string(what); };
    const char *at = (const char *)p;
    if (!on_device(p))
        fault("%s: %p is no device memory", place().c_str(), p);
    if ((size_t)(at - shared_at) < SHARED_BYTES) {
        if (!block || at + bytes > shared_at + block->shared())
            fault("%s: byte %td of shared memory, of which the block has %zu", place().c_str(),
                  at - shared_at, block ? block->shared() : 0);
        return;
    }
    if (allocations.empty())
        fault("%s: there is no allocation", place().c_str());
    auto i = latest; /* mostly the same as before */
    if (!i || at < i->first || at >= i->first + i->second.bytes) {
        auto found = allocations.upper_bound((char *)p);
        if (found == allocations.begin())
            fault("%s: %p lies before all allocations", place().c_str(), p);
        latest = i = &*--found;
    }
    if (i->second.freed)
        fault("%s: %p was freed (%zu bytes)", place().c_str(), p, i->second.bytes);
    if (at + bytes > i->first + i->second.bytes)
        fault("%s: %s %zu bytes at byte %td of an allocation of %zu", place().c_str(),
              write ? "writes" : "reads", bytes, at - i->first, i->second.bytes);
}

void move(void *to, const void *from, size_t bytes)
{
    std::unique_ptr<Gap> gaps[2];
    if (on_device(from)) {
        check_range(from, bytes, false, "copy");
        gaps[0] = std::make_unique<Gap>(from, bytes);
    }
    if (on_device(to)) {
        check_range(to, bytes, true, "copy");
        written(to, bytes);
        gaps[1] = std::make_unique<Gap>(to, bytes);
    }
    std::memmove(to, from, bytes);
}

/* ---- allocations ---- */

static cudaError_t take(void **out, size_t bytes)
{
    start();
    *out = nullptr;
    size_t room = (bytes + 255) / 256 * 256 + ZONE, at = (arena_used + 255) / 256 * 256;
    if (in_use + bytes > limit || at + room > RANGE)
        return cudaErrorMemoryAllocation;
    in_use += bytes;
    char *base = arena + at;
    arena_used = at + room;
    count(at, room, true);
    Gap open(base, room);
    std::memset(base, 0xff, bytes);
    std::memset(base + bytes, MARK, room - bytes);
    forget(base, room);
    allocations[base] = {bytes, false};
    *out = base;
    return cudaSuccess;
}

static void zone_check(const char *base, const Allocation &a)
{
    for (const char *z = base + a.bytes; z < base + (a.bytes + 255) / 256 * 256 + ZONE; z++)
        if (*z != MARK)
            fault("byte %td behind an allocation of %zu bytes was written", z - base - (ptrdiff_t)a.bytes,
                  a.bytes);
}

/* The memory goes back to the system. */
static void give(void *p)
{
    auto i = allocations.find((char *)p);
    size_t bytes = i->second.bytes, room = (bytes + 255) / 256 * 256 + ZONE;
    Gap open(p, room);
    zone_check(i->first, i->second);
    i->second.freed = true;
    std::memset(p, 0xff, bytes < 8192 ? bytes : 8192);
    if (bytes > 8192)
        madvise((void *)(((uintptr_t)p + 4095) & ~(uintptr_t)4095), (bytes - 4096) & ~(size_t)4095,
                MADV_DONTNEED);
    count((size_t)((char *)p - arena), room, false);
}

static void zones_check()
{
    Window open;
    for (auto &a : allocations)
        if (!a.second.freed)
            zone_check(a.first, a.second);
}
} // namespace twin

using namespace twin;
extern "C" {
cudaError_t cudaMallocAsync(void **out, size_t bytes, cudaStream_t)
{
    *out = nullptr;
    if (outside_capture() != cudaSuccess)
        return cudaErrorStreamCaptureUnsupported;
    return status(failing("cudaMallocAsync") ? cudaErrorMemoryAllocation : take(out, bytes));
}

cudaError_t cudaFreeAsync(void *p, cudaStream_t stream)
{
    auto i = allocations.find((char *)p);
    if (outside_capture() != cudaSuccess || i == allocations.end() || i->second.freed)
        return status(cudaErrorInvalidValue);
    in_use -= i->second.bytes;
    return push(
        stream, "free", [=] { give(p); }, true);
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned)
{
    size_t room = (bytes + 255) / 256 * 256;
    *out = aligned_alloc(256, room ? room : 256);
    if (!*out || outside_capture() != cudaSuccess || failing("cudaHostAlloc"))
        return status(cudaErrorMemoryAllocation);
    std::memset(*out, 0xff, bytes);
    pinned_blocks[(char *)*out] = {bytes, false};
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    wait_for_all();
    pinned_blocks.erase((char *)p);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    start();
    *available = limit - in_use;
    *total = limit;
    return cudaSuccess;
}
}
