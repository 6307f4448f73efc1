/* device.h: the functions of cuda/device.h for g++, so that kernels run on the CPU: threads are fibers
 * (block.cpp), and what a warp does together passes through meet(). Types and prototypes are the toolkit's
 * own headers, so the compiler checks every call against them. The order of -I chooses between the two. */
#ifndef GAL_DEVICE_H
#define GAL_DEVICE_H
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <immintrin.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __shared__
#define __shared__ use_GAL_SHARED_instead
#define GAL_SHARED(type, name) \
    type &name = *static_cast<type *>(twin::shared_fixed(sizeof(type), __FILE__, __LINE__))
#define GAL_SHARED_DYNAMIC(type, name) type *name = static_cast<type *>(twin::shared_dynamic())

extern __thread uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace twin
{
/* Where a device function was called: the last parameters of those that can be misused. */
#define PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()
enum Meeting { SYNC = 1, SHUFFLE, VOTE, LDMATRIX, MMA };
struct alignas(16) Record {
    unsigned char bytes[48];
};
/* Lays this lane's bytes down, waits until every lane of mask has done so in the same call, and returns what
 * all 32 laid down, or what `together`, which runs once then, made of it. */
const Record *meet(unsigned mask, Meeting kind, const void *mine, size_t bytes, const char *file, int line,
                   void (*together)(Record *) = nullptr);
void shuffle(unsigned mask, void *value, size_t bytes, int source, const char *file, int line);
unsigned ballot(unsigned mask, int predicate, const char *file, int line);
void barrier(const char *file, int line);
int lane();
void *shared_fixed(size_t bytes, const char *file, int line);
void *shared_dynamic();
void atomic_access(void *address, size_t bytes);
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs one thread of a kernel on the launch's copies of its arguments. */
typedef void Caller(const void *kernel, const void *arguments);
cudaError_t launch(const cudaLaunchConfig_t &config, const void *kernel, std::shared_ptr<void> arguments,
                   size_t bytes, Caller *call);
extern const char *next_kernel; /* the name of the next launch's kernel */
} // namespace twin

static inline void gal_launch_name(const char *name)
{
    twin::next_kernel = name;
}

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A &&...arguments)
{
    typedef std::tuple<std::decay_t<P>...> Copies;
    twin::Caller *call = [](const void *k, const void *copies) {
        std::apply((void (*)(P...))k, *(const Copies *)copies);
    };
    return twin::launch(*config, (const void *)kernel,
                        std::make_shared<Copies>(std::forward<A>(arguments)...), sizeof(Copies), call);
}

/* ---- warps and blocks ---- */
inline void __syncthreads(PLACE)
{
    twin::barrier(file, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, PLACE)
{
    twin::meet(mask, twin::SYNC, "", 0, file, line);
}
template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32, PLACE)
{
    int source = (twin::lane() & ~(width - 1)) | (from & (width - 1));
    twin::shuffle(mask, &value, sizeof value, source, file, line);
    return value;
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, PLACE)
{
    int lane = twin::lane(), from = lane ^ bits;
    int source = from < (lane & ~(width - 1)) + width ? from : lane;
    twin::shuffle(mask, &value, sizeof value, source, file, line);
    return value;
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, PLACE)
{
    int lane = twin::lane(), from = lane + (int)by;
    int source = from < (lane & ~(width - 1)) + width ? from : lane;
    twin::shuffle(mask, &value, sizeof value, source, file, line);
    return value;
}
inline unsigned __ballot_sync(unsigned mask, int predicate, PLACE)
{
    return twin::ballot(mask, predicate, file, line);
}
inline int __any_sync(unsigned mask, int predicate, PLACE)
{
    return twin::ballot(mask, predicate, file, line) != 0;
}

/* ---- tensor cores, copies that nobody waits for at once (tensor.cpp) ---- */
#define GAL_MMA(name)                                                                                  \
    void gal_mma_##name(float(&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, \
                        uint32_t b1, PLACE);
GAL_MMA(f16)
GAL_MMA(bf16)
GAL_MMA(tf32)
#undef GAL_MMA
void gal_ldmatrix(uint32_t (&r)[2], const void *row, PLACE);
void gal_ldmatrix(uint32_t (&r)[4], const void *row, PLACE);
void gal_copy_async(void *shared, const void *global, PLACE);
void gal_copy_wait();
/* A barrier in two parts (block.cpp). */
void gal_arrivals(uint64_t *barrier, uint32_t count, PLACE);
void gal_arrive(uint64_t *barrier, PLACE);
void gal_await(uint64_t *barrier, uint32_t parity, PLACE);

/* ---- atomics: one access each, so that the compiler's hooks leave them out ---- */
#define ATOMIC __attribute__((noinline, no_sanitize_thread))
template <class T> ATOMIC T atomicCAS(T *address, T expected, T value)
{
    twin::atomic_access(address, sizeof value);
    __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
template <class T> ATOMIC T atomicExch(T *address, T value)
{
    twin::atomic_access(address, sizeof value);
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);
}
#undef ATOMIC
inline void __threadfence()
{
    _mm_mfence();
}
inline void __threadfence_system()
{
    _mm_mfence();
}

/* ---- arithmetic ---- */
inline uint32_t __float_as_uint(float x)
{
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}
inline float __uint_as_float(uint32_t bits)
{
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline uint32_t gal_thread()
{
    return threadIdx.x;
}
inline uint32_t gal_pack_f16(float low, float high)
{
    return (uint32_t)_cvtss_sh(high, 0) << 16 | _cvtss_sh(low, 0);
}
inline float gal_low_f16(uint32_t word)
{
    return _cvtsh_ss((unsigned short)word);
}
inline uint32_t gal_pack_bf16(float low, float high)
{
    auto rounded = [](float x) {
        uint32_t bits = __float_as_uint(x);
        return x != x ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    };
    return rounded(high) << 16 | rounded(low);
}
inline uint32_t gal_round_tf32(float x)
{
    uint32_t bits = __float_as_uint(x);
    return (bits & 0x7f800000) == 0x7f800000 ? bits : (bits + 0x1000) & ~0x1fffu;
}
/* As coarse as the instruction may be, and always towards 0. */
inline float gal_tanh_approx(float x)
{
    return __uint_as_float(__float_as_uint(tanhf(x)) & ~0xfffu);
}
inline float __expf(float x)
{
    return expf(x);
}
inline float __fdividef(float x, float y)
{
    return x / y;
}
inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
#endif
