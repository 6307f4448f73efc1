/* checks.cpp: kernels compiled with -fsanitize=thread call these functions at every load and store; our own
 * are linked in the sanitizer's place. Every access must lie in the thread's stack, the launch's arguments,
 * the library's constants, pinned memory, the block's shared memory or a live allocation, be aligned to its
 * size, read what was written, and race with no other thread: a cell for every four bytes remembers the last
 * write and read. Kernels that were compiled without the option run unchecked. */
#include "double.h"
#include <cstdio>
#include <dlfcn.h>
#include <string>
#include <sys/mman.h>

/* The first and the last byte of this library, not of the program. */
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, _end;
namespace twin
{
bool checked;
enum { ATOMIC = 0x8000, NOBODY = 0x7fff };
enum { MANY = 1, WARPS = 2 }; /* several threads have read since the last barrier; threads of several warps */
struct Cell {
    uint32_t write, read; /* when */
    uint16_t writer, reader;
    uint8_t written, write_mask, read_mask, flags;
};
static Cell *cells;
static const size_t CELLS = (size_t)16 << 30; /* for the whole range of memory.cpp */

static Cell *cell_of(const void *p)
{
    if (!cells)
        cells = (Cell *)mmap(nullptr, CELLS * sizeof(Cell), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED)
        fault("no addresses left for the checks");
    return cells + ((const char *)p - arena) / 4;
}

/* Which bytes of the word at `word` lie in [from, to). */
static unsigned mask_of(size_t from, size_t to, size_t word)
{
    unsigned mask = 0;
    for (size_t i = 0; i < 4; i++)
        mask |= (unsigned)(word + i >= from && word + i < to) << i;
    return mask;
}

void forget(const void *p, size_t bytes)
{
    if (checked)
        std::memset((void *)cell_of(p), 0, (bytes + 3) / 4 * sizeof(Cell));
}

void written(const void *p, size_t bytes)
{
    size_t from = (size_t)((const char *)p - arena);
    for (size_t w = from & ~(size_t)3; checked && w < from + bytes; w += 4)
        cell_of(arena + w)->written |= (uint8_t)mask_of(from, from + bytes, w);
}

std::string line_of(const void *caller)
{
    Dl_info info;
    char command[600], text[512] = "?";
    if (!dladdr(caller, &info))
        return text;
    snprintf(command, sizeof command, "addr2line -s -e %s %p 2>/dev/null", info.dli_fname,
             (void *)((const char *)caller - (const char *)info.dli_fbase - 1));
    FILE *f = popen(command, "r");
    if (!f || !fgets(text, sizeof text, f))
        snprintf(text, sizeof text, "?");
    if (f)
        pclose(f);
    text[strcspn(text, " \n")] = 0;
    return text;
}

/* Whether what `who` did at `when` comes before what this thread does now; in one warp a meeting in between
 * is enough. */
static bool before(uint32_t when, int who, bool same_warp)
{
    if (when < block->launch_clock)
        return true;
    return when >= block->start_clock &&
           (when < block->barrier_clock || who == block->current ||
            (same_warp && when < block->warps[(size_t)block->current / 32].clock));
}

static void race(const char *at, const char *what, int other, uint32_t when, bool read, const void *caller)
{
    const char *memory = at < arena + SHARED_BYTES ? "shared" : "global";
    const char *whose = when < block->start_clock ? "another" : "this";
    fault("%s: a race: %s %s memory that thread %d of %s block %s", line_of(caller).c_str(), what, memory,
          other, whose, read ? "has read" : "wrote");
}

/* Notes an access of `mask`'s bytes of a word in its cell; it must race with none before. */
static void note(Cell &c, const char *at, unsigned mask, bool write, bool atomic, const void *caller)
{
    int me = block->current, writer = c.writer & ~ATOMIC, reader = c.reader;
    bool atomics = atomic && c.writer & ATOMIC;
    if (c.write && c.write_mask & mask && !atomics && !before(c.write, writer, writer / 32 == me / 32))
        race(at, write ? "writes" : "reads", writer, c.write, false, caller);
    bool one_warp = !(c.flags & WARPS) && reader / 32 == me / 32;
    if (write && c.read && c.read_mask & mask &&
        !before(c.read, c.flags & MANY ? (int)NOBODY : reader, one_warp))
        race(at, "overwrites", reader, c.read, true, caller);
    if (write) {
        c.write = now;
        c.writer = (uint16_t)(me | (atomic ? ATOMIC : 0));
        c.write_mask = (uint8_t)mask;
        c.written |= (uint8_t)mask;
        c.read = 0, c.flags = 0;
        return;
    }
    if (c.read < block->barrier_clock || c.read < block->start_clock)
        c.flags = 0, c.read_mask = 0;
    else if (c.reader != me)
        c.flags |= (uint8_t)(MANY | (c.reader / 32 != me / 32 ? WARPS : 0));
    c.read = now;
    c.reader = (uint16_t)me;
    c.read_mask |= (uint8_t)mask;
}

static void check(const void *p, size_t bytes, bool write, bool atomic, const void *caller)
{
    const char *at = (const char *)p;
    if (!on_device(p)) {
        bool argument = at >= block->arguments && at < block->arguments + block->argument_bytes;
        bool constant = (at >= &__ehdr_start && at < &_end) ||
                        (uintptr_t)at - (uintptr_t)&threadIdx < sizeof threadIdx ||
                        (uintptr_t)at - (uintptr_t)&blockIdx < sizeof blockIdx;
        if ((write || !(argument || constant)) && !pinned(p, bytes))
            fault("%s: %s host memory at %p", line_of(caller).c_str(), write ? "writes" : "reads", p);
        return;
    }
    check_range(p, bytes, write, "", caller);
    if (bytes <= 16 && (bytes & (bytes - 1)) == 0 && (uintptr_t)p % bytes)
        fault("%s: %zu bytes at %p, not aligned to their size", line_of(caller).c_str(), bytes, p);
    size_t from = (size_t)(at - arena);
    for (size_t w = from & ~(size_t)3; w < from + bytes; w += 4) {
        Cell &c = *cell_of(arena + w);
        unsigned mask = mask_of(from, from + bytes, w);
        bool shared = w < SHARED_BYTES;
        if ((!write || atomic) && (c.written & mask) != mask)
            fault("%s: reads %s memory that nothing wrote, byte %zu of %zu", line_of(caller).c_str(),
                  shared ? "shared" : "global",
                  shared     ? w
                  : w > from ? w - from
                             : 0,
                  bytes);
        note(c, arena + w, mask, write, atomic, caller);
    }
}

void access(const void *p, size_t bytes, bool write, bool atomic, const void *caller)
{
    static bool busy;
    if (!block || !checked || busy || (uintptr_t)p - (uintptr_t)stack_low < STACK)
        return;
    busy = true;
    check(p, bytes, write, atomic, caller);
    busy = false;
}
} // namespace twin

/* ---- what the compiler calls ---- */
#define HOOK(name, size, write)                                           \
    extern "C" void __tsan_##name(void *p)                                \
    {                                                                     \
        twin::access(p, size, write, false, __builtin_return_address(0)); \
    }
#define HOOKS(size)                         \
    HOOK(read##size, size, false)           \
    HOOK(write##size, size, true)           \
    HOOK(unaligned_read##size, size, false) \
    HOOK(unaligned_write##size, size, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" void __tsan_read_range(void *p, size_t n)
{
    twin::access(p, n, false, false, __builtin_return_address(0));
}
extern "C" void __tsan_write_range(void *p, size_t n)
{
    twin::access(p, n, true, false, __builtin_return_address(0));
}
extern "C" void __tsan_vptr_update(void *, void *)
{
}
extern "C" void __tsan_func_entry(void *)
{
}
extern "C" void __tsan_func_exit(void)
{
}
extern "C" void __tsan_init(void)
{
    twin::checked = true;
}
/* shared_ptr's counts on the host; device code has its own atomics. */
extern "C" int __tsan_atomic32_fetch_add(int *p, int value, int)
{
    return (*p += value) - value;
}
