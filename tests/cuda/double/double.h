/* double.h: what the files of the double share. The double is a CUDA runtime that runs on the CPU: the
 * functions that cuda/ calls, by the prototypes of the toolkit's own headers. */
#ifndef GAL_DOUBLE_H
#define GAL_DOUBLE_H
#include "device.h"
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace twin
{
/* ---- memory (memory.cpp): one reserved range, first the running block's shared memory, then global memory.
 * The host can't touch it but while a Window stands. ---- */
struct Window {
    Window();
    ~Window();
};
/* Hopper's limits on shared memory, in bytes; a zone lies between any two allocations. */
enum { SHARED_BYTES = 232448, SHARED_FIXED = 49152, ZONE = 256 };
extern char *arena;
extern __thread char *shared_at; /* the shared memory of the block that this thread of the CPU runs */
extern size_t arena_used;
const size_t RANGE = (size_t)64 << 30; /* addresses that are reserved from there on */
inline bool on_device(const void *p)
{
    return arena && (const char *)p >= arena && (const char *)p < arena + RANGE;
}
bool pinned(const void *p, size_t bytes);
/* Ends the process with a sentence unless the bytes lie in one allocation that is alive; caller: an address
 * in the code, for file and line. */
void move(void *to, const void *from, size_t bytes); /* a copy, of the host's memory too */
void open_thread(); /* as a Window, for a thread of the CPU that only runs blocks */
void check_range(const void *p, size_t bytes, bool write, const char *what, const void *caller = nullptr);
std::string line_of(const void *caller); /* "map.cu:36" */

/* ---- blocks (block.cpp) ---- */
struct Slot { /* a meeting of some lanes of a warp, kept by its lowest lane */
    unsigned mask = 0, arrived = 0, turn = 0;
    int kind = 0, line = 0;
    Record table[2][32];
};
struct Warp {
    std::unique_ptr<Slot> slots[32];
    uint32_t clock = 0;      /* of its last meeting */
    uint32_t runnable = 0;   /* lanes that could go on or begin, but do not run now */
    uint32_t at_barrier = 0; /* lanes that wait for threads of other warps */
};
struct Copy { /* to shared memory, not waited for */
    void *to;
    const void *from;
};
struct Arrivals { /* a barrier in two parts */
    uint32_t count = 0, here = 0, turn = 0;
};
struct Fiber {
    void *sp = nullptr;
    char *stack = nullptr; /* none: the thread has not begun, or has ended */
    int kind = 0, line = 0;
    uint3 index = {};
};
struct Block {
    Caller *call;
    const void *function;
    const char *kernel;
    int threads, current;
    size_t fixed_used, dynamic_bytes;
    std::vector<Warp> warps;
    std::vector<Fiber> fibers;
    void *after;                      /* where the CPU goes on when the block has ended */
    int arrived, barrier_line, ended; /* threads at __syncthreads; threads that have returned */
    unsigned barrier_turn;
    std::map<int, std::vector<Copy>> copies; /* of each thread that has some */
    std::map<const void *, Arrivals> arrivals;
    const char *arguments;
    size_t argument_bytes;
    uint32_t launch_clock, start_clock, barrier_clock;
    size_t shared() const
    {
        return fixed_used > dynamic_bytes ? fixed_used : dynamic_bytes;
    }
};
extern __thread Block *block; /* the one that this thread of the CPU runs, or NULL on the host */
extern __thread uint32_t now; /* counts launches, blocks, barriers and meetings of warps */
void run_grid(const cudaLaunchConfig_t &config, const char *name, const void *kernel, const void *arguments,
              size_t bytes, Caller *call);
/* The stack of the thread that runs. No power of two, or all stacks would share a few sets of the caches. */
enum { STACK = (64 << 10) + 37 * 64 };
extern __thread const char *stack_low;

/* ---- a second thread of the CPU (threads.cpp) ---- */
/* Calls each(i) for all i below count, some of them on the second thread where that pays. */
void share(int64_t count, const std::function<void(int64_t)> &each);

/* ---- checks of kernels (checks.cpp) ---- */
void access(const void *p, size_t bytes, bool write, bool atomic, const void *caller);
void forget(const void *p, size_t bytes);  /* nobody has written these bytes */
void written(const void *p, size_t bytes); /* a copy or a library has */
extern bool checked;                       /* whether kernels were compiled with hooks */

/* ---- streams (runtime.cpp) ---- */
/* Puts work in the stream's queue, or in the graph that the stream is captured in. opens: the work itself
 * opens the memory that it touches. */
cudaError_t push(cudaStream_t stream, const char *name, std::function<void()> work, bool opens = false);
void wait_for_all();
cudaError_t outside_capture();
bool failing(const char *name);
cudaError_t status(cudaError_t error);
} // namespace twin
#endif
