/* block.cpp: the threads of a block as fibers. A warp runs as far as it can before the next one does, and
 * blocks run one after another, so that a missing barrier shows in results too. GAL_DOUBLE_ORDER=1 runs warps
 * and blocks backwards. */
#include "double.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
namespace twin
{
Block *block;
uint32_t now = 1;
const char *next_kernel;

enum State { FRESH, READY, WAITING, DONE };
enum { AT_BARRIER = 0 }; /* what a fiber waits in; else a Meeting */
struct Fiber {
    void *sp = nullptr;
    char *stack = nullptr;
    State state = FRESH;
    int kind = 0, line = 0;
    uint3 index = {};
};
/* No power of two, or all stacks would share a few sets of the caches. */
static const size_t STACK = (64 << 10) + 37 * 64;
static std::vector<Fiber> fibers;
static std::vector<char *> stacks; /* free ones; the last one given back is warm */
static void *scheduler;
static int arrived, barrier_line, ended; /* threads at __syncthreads; threads that have returned */
static unsigned barrier_turn;

void fault(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    if (block)
        fprintf(stderr, "double: %s, block (%u, %u), thread %u: ", block->kernel, blockIdx.x, blockIdx.y,
                threadIdx.x);
    else
        fprintf(stderr, "double: host: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    if (getenv("GAL_DOUBLE_ABORT"))
        abort();
    _exit(86);
}

/* ---- fibers ---- */

/* Saves the registers that a call keeps on this stack, its pointer in *from, and goes on where `to` was
 * left. */
extern "C" void twin_switch(void **from, void *to);
asm(".text\n.globl twin_switch\n.hidden twin_switch\ntwin_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void leave()
{
    twin_switch(&fibers[block->current].sp, scheduler);
}

static void become(int thread)
{
    threadIdx = fibers[thread].index;
    block->current = thread;
}

/* A fiber runs one thread, and then those of its warp that have not begun, for as long as none has to wait.
 */
static void run_threads()
{
    for (;;) {
        block->call(block->function, block->arguments);
        int t = block->current;
        fibers[t].state = DONE;
        ended++;
        if (++t % 32 == 0 || t == block->threads || fibers[t].state != FRESH) {
            leave();
        } else {
            fibers[t].stack = fibers[t - 1].stack;
            fibers[t - 1].stack = nullptr;
            fibers[t].state = READY;
            become(t);
        }
    }
}

void stack_of_current(const char **low, const char **high)
{
    *low = fibers[block->current].stack;
    *high = *low + STACK;
}

static void give_stack(Fiber &f)
{
    if (stacks.empty()) {
        void *all = mmap(nullptr, STACK * 64, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        for (int i = 63; i >= 0; i--)
            stacks.push_back((char *)all + i * STACK);
    }
    f.stack = stacks.back();
    stacks.pop_back();
    void **top = (void **)(f.stack + STACK - 64);
    *--top = nullptr; /* run_threads never returns; the stack is as after a call */
    *--top = (void *)run_threads;
    f.sp = top - 6;
}

/* ---- a block ---- */

static void deadlock()
{
    for (int t = 0; t < block->threads; t++)
        if (fibers[t].state == WAITING) {
            become(t);
            const char *whom = fibers[t].kind == AT_BARRIER ? "a barrier of its block" : "lanes of its warp";
            fault("waits for ever at line %d for %s; %d of %d threads have ended", fibers[t].line, whom,
                  ended, block->threads);
        }
}

static void start_block()
{
    now++;
    block->start_clock = block->barrier_clock = now;
    block->fixed_used = 0;
    block->arrivals.clear();
    arrived = ended = 0;
    for (auto &w : block->warps)
        w.clock = now;
    for (auto &f : fibers)
        f.state = FRESH;
}

/* Runs thread t until it waits or ends; other threads of its warp may run in its fiber. */
static void run_thread(int t)
{
    Fiber &f = fibers[t];
    if (f.state == FRESH)
        give_stack(f);
    f.state = READY;
    become(t);
    twin_switch(&scheduler, f.sp);
    Fiber &last = fibers[block->current];
    if (last.state == DONE)
        stacks.push_back(last.stack);
}

/* Runs the warp's threads for as long as any can go on; whether any could. */
static bool run_warp(int warp)
{
    int end = std::min(block->threads, warp * 32 + 32);
    bool moved = false;
    for (bool again = true; again;) {
        again = false;
        for (int t = warp * 32; t < end; t++)
            if (fibers[t].state == FRESH || fibers[t].state == READY) {
                run_thread(t);
                again = moved = true;
            }
    }
    return moved;
}

static void run_block(bool backwards)
{
    start_block();
    int warps = (int)block->warps.size();
    while (ended < block->threads) {
        bool moved = false;
        for (int i = 0; i < warps; i++)
            moved |= run_warp(backwards ? warps - 1 - i : i);
        if (!moved)
            deadlock();
    }
    for (int t = 0; t < block->threads; t++)
        if (!block->copies[(size_t)t].empty()) {
            become(t);
            fault("ends with a copy to shared memory that it has not waited for");
        }
    std::memset(arena, 0xff, block->shared()); /* shared memory is NaN when a block starts */
    forget(arena, block->shared());
}

void run_grid(const cudaLaunchConfig_t &c, const char *name, const void *kernel, const void *arguments,
              size_t bytes, Caller *call)
{
    static const bool backwards = getenv("GAL_DOUBLE_ORDER") != nullptr;
    Block b = {};
    b.call = call, b.function = kernel, b.kernel = name;
    b.arguments = (const char *)arguments, b.argument_bytes = bytes;
    b.threads = (int)(c.blockDim.x * c.blockDim.y * c.blockDim.z);
    b.dynamic_bytes = c.dynamicSmemBytes;
    b.warps.resize((size_t)(b.threads + 31) / 32);
    b.copies.resize((size_t)b.threads);
    fibers.resize((size_t)b.threads);
    blockDim = c.blockDim, gridDim = c.gridDim;
    for (unsigned t = 0; t < (unsigned)b.threads; t++)
        fibers[t].index = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    b.launch_clock = ++now;
    block = &b;
    int64_t count = (int64_t)gridDim.x * gridDim.y * gridDim.z;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = backwards ? count - 1 - i : i;
        blockIdx = {(unsigned)(at % gridDim.x), (unsigned)(at / gridDim.x % gridDim.y),
                    (unsigned)(at / gridDim.x / gridDim.y)};
        run_block(backwards);
    }
    block = nullptr;
}

/* ---- meetings ---- */

static void wait_in(int kind, int line)
{
    Fiber &f = fibers[block->current];
    f.state = WAITING, f.kind = kind, f.line = line;
    leave();
}

static void wake_all()
{
    block->barrier_clock = ++now;
    for (auto &f : fibers)
        if (f.state == WAITING && f.kind == AT_BARRIER)
            f.state = READY;
}

void barrier(const char *file, int line)
{
    if (arrived++ == 0)
        barrier_line = line;
    else if (barrier_line != line)
        fault("%s:%d: threads of one block meet in two __syncthreads, here and at line %d", file, line,
              barrier_line);
    if (ended)
        fault("%s:%d: __syncthreads after a thread of the block has ended", file, line);
    if (arrived < block->threads) {
        unsigned turn = barrier_turn;
        while (turn == barrier_turn)
            wait_in(AT_BARRIER, line);
        return;
    }
    arrived = 0, barrier_turn++;
    wake_all();
}

/* What all others did before the last arrival of a turn is taken to come before what follows it, so a race
 * with what a thread does between its arrival and that one may pass. */
static Arrivals &arrivals_of(uint64_t *barrier, const char *file, int line)
{
    if (!block->arrivals.count(barrier))
        fault("%s:%d: a barrier that nobody has made", file, line);
    return block->arrivals[barrier];
}
int lane()
{
    return block->current % 32;
}

const Record *meet(unsigned mask, Meeting kind, const void *mine, size_t bytes, const char *file, int line,
                   void (*together)(Record *))
{
    int own = lane(), first = block->current - own;
    Warp &w = block->warps[(size_t)block->current / 32];
    if (block->threads - first < 32)
        mask &= (1u << (block->threads - first)) - 1; /* a last warp that is not full */
    if (!(mask >> own & 1))
        fault("%s:%d: lane %d is not in its own mask %08x", file, line, own, mask);
    auto &place = w.slots[__builtin_ctz(mask)];
    if (!place)
        place = std::make_unique<Slot>();
    Slot &s = *place;
    if (!s.arrived)
        s.mask = mask, s.kind = kind, s.line = line;
    else if (s.mask != mask || s.kind != kind || s.line != line)
        fault("%s:%d: lanes of one warp meet in two calls, here with mask %08x and at line %d with %08x",
              file, line, mask, s.line, s.mask);
    Record *table = s.table[s.turn & 1];
    std::memcpy(table[own].bytes, mine, bytes);
    s.arrived |= 1u << own;
    if (s.arrived != mask) {
        unsigned turn = s.turn;
        while (turn == s.turn)
            wait_in(kind, line);
        return table;
    }
    if (together)
        together(table);
    s.arrived = 0, s.turn++;
    w.clock = ++now;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1 && i != own && fibers[first + i].kind != AT_BARRIER)
            fibers[first + i].state = READY;
    return table;
}

void shuffle(unsigned mask, void *value, size_t bytes, int source, const char *file, int line)
{
    const Record *all = meet(mask, SHUFFLE, value, bytes, file, line);
    if (!(mask >> source & 1))
        fault("%s:%d: the shuffle reads lane %d, which is not in its mask %08x", file, line, source, mask);
    std::memcpy(value, all[source].bytes, bytes);
}

unsigned ballot(unsigned mask, int predicate, const char *file, int line)
{
    const Record *all = meet(mask, VOTE, &predicate, sizeof predicate, file, line);
    unsigned bits = 0;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1 && *(const int *)all[i].bytes)
            bits |= 1u << i;
    return bits;
}

/* ---- shared memory ---- */

void *shared_fixed(size_t bytes, const char *file, int line)
{
    if (bytes > SHARED_FIXED)
        fault("%s:%d: %zu bytes of fixed shared memory, at most %d", file, line, bytes, (int)SHARED_FIXED);
    block->fixed_used = bytes; /* one struct a kernel */
    return arena;
}

void *shared_dynamic()
{
    return arena;
}

void atomic_access(void *address, size_t bytes)
{
    access(address, bytes, true, true, __builtin_return_address(0));
}
} // namespace twin

void gal_arrivals(uint64_t *barrier, uint32_t count, const char *file, int line)
{
    if (!twin::on_device(barrier) || (char *)barrier >= twin::arena + twin::SHARED_BYTES ||
        (uintptr_t)barrier % 8)
        twin::fault("%s:%d: a barrier at %p, expected 8 aligned bytes of shared memory", file, line,
                    (void *)barrier);
    twin::access(barrier, 8, true, false, __builtin_return_address(0));
    twin::block->arrivals[barrier] = {count, 0, 0};
}

void gal_arrive(uint64_t *barrier, const char *file, int line)
{
    twin::Arrivals &a = twin::arrivals_of(barrier, file, line);
    if (++a.here < a.count)
        return;
    a.here = 0, a.turn++;
    twin::wake_all();
}

void gal_await(uint64_t *barrier, uint32_t parity, const char *file, int line)
{
    twin::Arrivals &a = twin::arrivals_of(barrier, file, line);
    while (a.turn % 2 == parity)
        twin::wait_in(twin::AT_BARRIER, line);
}
