/* launch.h: the one way to start a kernel: GAL_LAUNCH(device, kernel, grid, block, shared bytes,
 * arguments...)
 * -> gal_status. Arguments are converted to the kernel's own types and copied. And what kernels share: grids,
 * faults, sums over a block. */
#ifndef GAL_LAUNCH_H
#define GAL_LAUNCH_H
#include "cuda.h"
#include <device.h> /* this folder's, or the double's: the order of -I decides, which quotes would not */

template <class... P, class... A>
inline gal_status gal_launch(gal_cuda *device, const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                             size_t shared, A &&...arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block, config.dynamicSmemBytes = shared;
    config.stream = device->stream;
    gal_launch_name(name);
    cudaError_t error = cudaLaunchKernelEx(&config, kernel, static_cast<A &&>(arguments)...);
    return error == cudaSuccess ? GAL_OK : gal_cuda_status(device, error, name);
}
#define GAL_LAUNCH(device, kernel, ...) gal_launch(device, #kernel, kernel, __VA_ARGS__)

/* Threads of a block, unless a kernel says otherwise. */
enum { BLOCK = 256 };

/* Blocks for so many threads: enough to fill the largest card a few times over. Kernels loop over the rest.
 */
static inline dim3 gal_grid(int64_t threads)
{
    int64_t blocks = (threads + BLOCK - 1) / BLOCK;
    return dim3((unsigned)(blocks < 1 ? 1 : blocks < 4096 ? blocks : 4096));
}

/* Blocks for so many pieces of work, a block each, that the card has a few rounds of them. */
static inline dim3 gal_blocks(const gal_cuda *device, int64_t pieces)
{
    int64_t most = 32 * device->processors;
    return dim3((unsigned)(pieces < most ? pieces : most));
}

/* for (int64_t i in a thread's share of 0 ... count - 1). */
#define GAL_EACH(i, count)                                                        \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (count); \
         i += (int64_t)gridDim.x * blockDim.x)

/* Leaves a fault for the host, unless one of an earlier call, or of a smaller place, is there. */
static __device__ inline void gal_leave_fault(gal_cuda_fault *f, uint32_t call, gal_fault fault)
{
    while (atomicCAS(&f->lock, 0, 1) != 0)
        ;
    bool earlier = call < f->call || (call == f->call && fault.place < f->fault.place);
    if (!f->found || earlier) {
        f->fault = fault;
        f->call = call;
        f->found = 1;
    }
    __threadfence_system();
    atomicExch(&f->lock, 0);
}

/* The sum of `value` over the block's threads, in thread 0 (elsewhere undefined), in an order that depends on
 * the number of threads alone, a multiple of 32. part {32}: shared memory that nobody reads any more. */
static __device__ inline double gal_block_sum(double value, double *part)
{
    for (int by = 16; by > 0; by /= 2)
        value += __shfl_down_sync(0xffffffffu, value, by);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0;
    if (threadIdx.x == 0)
        for (unsigned w = 0; w < blockDim.x / 32; w++)
            sum += part[w];
    return sum;
}
#endif
