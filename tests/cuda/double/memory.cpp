/* memory.cpp: device memory that the host can't touch: one reserved range behind a protection key, or
 * mprotect where the processor has no keys, open while kernels run and copies are made. New and freed memory
 * is NaN; zones around every allocation must stay as they are. Addresses are never used twice. */
#include "double.h"
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
static std::map<char *, Allocation> allocations, pinned_blocks;
static std::map<char *, Allocation>::const_iterator latest;
static size_t in_use, limit = (size_t)8 << 30;
static int key = -1, depth;
static struct sigaction before; /* LuaJIT's, or none */

static void set_open(bool open)
{
    int access = open ? PROT_READ | PROT_WRITE : PROT_NONE;
    if (key >= 0)
        pkey_set(key, open ? 0 : PKEY_DISABLE_ACCESS);
    else
        mprotect(arena, (arena_used + 4095) & ~(size_t)4095, access);
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
        fault("touched %p, which is no memory", (void *)at);
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
    arena_used = SHARED_BYTES + ZONE;
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
    if (at < arena + SHARED_BYTES) {
        if (!block || at + bytes > arena + block->shared())
            fault("%s: byte %td of shared memory, of which the block has %zu", place().c_str(), at - arena,
                  block ? block->shared() : 0);
        return;
    }
    if (allocations.empty())
        fault("%s: there is no allocation", place().c_str());
    auto i = latest; /* mostly the same as before */
    if (i == allocations.cend() || at < i->first || at >= i->first + i->second.bytes) {
        i = allocations.upper_bound((char *)p);
        if (i == allocations.begin())
            fault("%s: %p lies before all allocations", place().c_str(), p);
        latest = --i;
    }
    if (i->second.freed)
        fault("%s: %p was freed (%zu bytes)", place().c_str(), p, i->second.bytes);
    if (at + bytes > i->first + i->second.bytes)
        fault("%s: %s %zu bytes at byte %td of an allocation of %zu", place().c_str(),
              write ? "writes" : "reads", bytes, at - i->first, i->second.bytes);
}

/* ---- allocations ---- */

static cudaError_t take(void **out, size_t bytes)
{
    Window open;
    *out = nullptr;
    size_t room = (bytes + 255) / 256 * 256 + ZONE, at = (arena_used + 255) / 256 * 256;
    if (in_use + bytes > limit || at + room > RANGE)
        return cudaErrorMemoryAllocation;
    in_use += bytes;
    char *base = arena + at;
    arena_used = at + room;
    set_open(true);
    std::memset(base, 0xff, bytes);
    std::memset(base + bytes, MARK, room - bytes);
    forget(base, room);
    allocations[base] = {bytes, false};
    latest = allocations.cend();
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
    Window open;
    auto i = allocations.find((char *)p);
    zone_check(i->first, i->second);
    i->second.freed = true;
    size_t bytes = i->second.bytes;
    std::memset(p, 0xff, bytes < 8192 ? bytes : 8192);
    if (bytes > 8192)
        madvise((void *)(((uintptr_t)p + 4095) & ~(uintptr_t)4095), (bytes - 4096) & ~(size_t)4095,
                MADV_DONTNEED);
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
    return push(stream, "free", [=] { give(p); });
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
