/* block.cpp: the threads of a block as fibers. A warp runs as far as it can before the next one does, so that
 * a missing barrier shows in results too. Blocks run one after another; those of the fast double, which has
 * no checks, on two threads of the CPU. GAL_DOUBLE_ORDER=1 runs warps and blocks backwards. */
#include "double.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

__thread uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
namespace twin
{
__thread Block *block;
__thread uint32_t now = 1;
const char *next_kernel;

enum { AT_BARRIER = 0 };                     /* what a fiber waits in; else a Meeting */
static __thread Block *blocks_place;         /* where this thread of the CPU keeps its block */
static __thread std::vector<char *> *stacks; /* free ones; the last one given back is warm */
static bool backwards;                       /* GAL_DOUBLE_ORDER */
__thread const char *stack_low;

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

static void become(int thread)
{
    const Fiber &f = block->fibers[(size_t)thread];
    threadIdx = f.index;
    block->current = thread;
    stack_low = f.stack;
}

static void deadlock()
{
    for (int t = 0; t < block->threads; t++) {
        const Fiber &f = block->fibers[(size_t)t];
        if (!f.stack)
            continue;
        become(t);
        const char *whom = f.kind == AT_BARRIER ? "a barrier of its block" : "lanes of its warp";
        fault("waits for ever at line %d for %s; %d of %d threads have ended", f.line, whom, block->ended,
              block->threads);
    }
}

/* Takes the thread that runs next: of this warp, upwards from the current thread and round, for as long as
 * any can go on; then of the next warp. */
static int next_thread()
{
    size_t warps = block->warps.size(), warp = (size_t)block->current / 32;
    uint32_t can = block->warps[warp].runnable, later = can & ~1u << block->current % 32;
    for (size_t i = 0; !can && i < warps; i++) {
        warp = backwards ? (warp ? warp : warps) - 1 : warp + 1 < warps ? warp + 1 : 0;
        later = can = block->warps[warp].runnable;
    }
    if (!can)
        deadlock();
    int lane = __builtin_ctz(later ? later : can);
    block->warps[warp].runnable &= ~(1u << lane);
    return (int)warp * 32 + lane;
}

static void run_threads();
static void give_stack(Fiber &f)
{
    if (stacks->empty()) {
        void *all = mmap(nullptr, (size_t)STACK * 64, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        for (int i = 63; i >= 0; i--)
            stacks->push_back((char *)all + (size_t)i * STACK);
    }
    f.stack = stacks->back();
    stacks->pop_back();
    void **top = (void **)(f.stack + STACK - 64);
    *--top = nullptr; /* run_threads never returns; the stack is as after a call */
    *--top = (void *)run_threads;
    f.sp = top - 6;
}

/* The current fiber waits; another one goes on. */
static void leave()
{
    Fiber &from = block->fibers[(size_t)block->current];
    int t = next_thread();
    Fiber &to = block->fibers[(size_t)t];
    if (!to.stack)
        give_stack(to);
    become(t);
    twin_switch(&from.sp, to.sp);
}

/* A fiber runs one thread, and then others that have not begun, for as long as none has to wait. */
static void run_threads()
{
    for (;;) {
        block->call(block->function, block->arguments);
        Fiber &last = block->fibers[(size_t)block->current];
        char *stack = last.stack;
        void *to = block->after, *from;
        last.stack = nullptr;
        if (++block->ended < block->threads) {
            int t = next_thread();
            Fiber &next = block->fibers[(size_t)t];
            bool fresh = !next.stack;
            if (fresh)
                next.stack = stack;
            become(t);
            if (fresh)
                continue;
            to = next.sp;
        }
        stacks->push_back(stack); /* nobody takes it before the switch */
        twin_switch(&from, to);
    }
}

/* ---- a block ---- */

static void start_block()
{
    block->start_clock = block->barrier_clock = ++now;
    block->fixed_used = 0;
    block->arrivals.clear();
    block->copies.clear();
    block->arrived = block->ended = 0;
    int left = block->threads;
    for (Warp &w : block->warps) {
        w.clock = now;
        w.runnable = left >= 32 ? ~0u : (1u << left) - 1;
        w.at_barrier = 0;
        left -= 32;
    }
}

static void run_block()
{
    start_block();
    int first = backwards ? (block->threads - 1) / 32 * 32 : 0;
    block->warps[(size_t)first / 32].runnable &= ~1u;
    give_stack(block->fibers[(size_t)first]);
    become(first);
    twin_switch(&block->after, block->fibers[(size_t)first].sp);
    for (auto &copies : block->copies)
        if (!copies.second.empty()) {
            become(copies.first);
            fault("ends with a copy to shared memory that it has not waited for");
        }
    std::memset(shared_at, 0xff, block->shared()); /* shared memory is NaN when a block starts */
    forget(shared_at, block->shared());
}

/* This thread of the CPU gets a block ready for the launch that `like` describes. */
static void enter_grid(const Block &like)
{
    if (!blocks_place) {
        blocks_place = new Block();
        stacks = new std::vector<char *>();
    }
    block = blocks_place;
    block->call = like.call, block->function = like.function, block->kernel = like.kernel;
    block->arguments = like.arguments, block->argument_bytes = like.argument_bytes;
    block->threads = like.threads, block->dynamic_bytes = like.dynamic_bytes;
    block->warps.resize((size_t)(like.threads + 31) / 32);
    block->fibers.resize((size_t)like.threads);
    for (unsigned t = 0; t < (unsigned)like.threads; t++)
        block->fibers[t].index = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    block->launch_clock = ++now;
}

void run_grid(const cudaLaunchConfig_t &c, const char *name, const void *kernel, const void *arguments,
              size_t bytes, Caller *call)
{
    static uint64_t launches;
    static __thread uint64_t entered;
    backwards = getenv("GAL_DOUBLE_ORDER") != nullptr;
    Block b = {};
    b.call = call, b.function = kernel, b.kernel = name;
    b.arguments = (const char *)arguments, b.argument_bytes = bytes;
    b.threads = (int)(c.blockDim.x * c.blockDim.y * c.blockDim.z);
    b.dynamic_bytes = c.dynamicSmemBytes;
    blockDim = c.blockDim, gridDim = c.gridDim;
    launches++;
    int64_t count = (int64_t)gridDim.x * gridDim.y * gridDim.z;
    auto each = [&](int64_t i) {
        if (entered != launches)
            enter_grid(b);
        entered = launches;
        block = blocks_place;
        int64_t at = backwards ? count - 1 - i : i;
        blockIdx = {(unsigned)(at % gridDim.x), (unsigned)(at / gridDim.x % gridDim.y),
                    (unsigned)(at / gridDim.x / gridDim.y)};
        run_block();
        block = nullptr;
    };
    if (checked || backwards)
        for (int64_t i = 0; i < count; i++)
            each(i);
    else
        share(count, each);
}

/* ---- meetings ---- */

static void wait_in(int kind, int line)
{
    Fiber &f = block->fibers[(size_t)block->current];
    f.kind = kind, f.line = line;
    if (kind == AT_BARRIER)
        block->warps[(size_t)block->current / 32].at_barrier |= 1u << block->current % 32;
    leave();
}

static void wake_all()
{
    block->barrier_clock = ++now;
    for (Warp &w : block->warps) {
        w.runnable |= w.at_barrier;
        w.at_barrier = 0;
    }
}

void barrier(const char *file, int line)
{
    if (block->arrived++ == 0)
        block->barrier_line = line;
    else if (block->barrier_line != line)
        fault("%s:%d: threads of one block meet in two __syncthreads, here and at line %d", file, line,
              block->barrier_line);
    if (block->ended)
        fault("%s:%d: __syncthreads after a thread of the block has ended", file, line);
    if (block->arrived < block->threads) {
        unsigned turn = block->barrier_turn;
        while (turn == block->barrier_turn)
            wait_in(AT_BARRIER, line);
        return;
    }
    block->arrived = 0, block->barrier_turn++;
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
    w.runnable |= mask & ~(1u << own); /* they all wait in this meeting */
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
    return shared_at;
}

void *shared_dynamic()
{
    return shared_at;
}

void atomic_access(void *address, size_t bytes)
{
    access(address, bytes, true, true, __builtin_return_address(0));
}
} // namespace twin

void gal_arrivals(uint64_t *barrier, uint32_t count, const char *file, int line)
{
    if ((size_t)((char *)barrier - twin::shared_at) >= twin::SHARED_BYTES || (uintptr_t)barrier % 8)
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
