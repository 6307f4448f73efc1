/* device.h: of CUDA's device side, what our kernels use beside the language. tests/cuda/double/device.h has
 * the same for a CPU, and is found first when the double is built; nothing else in cuda/ knows of it. */
#ifndef GAL_DEVICE_H
#define GAL_DEVICE_H
#include <cstdint>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

/* A kernel's shared memory: one struct of fixed size, or an array of the size given at launch. */
#define GAL_SHARED(type, name) __shared__ type name
#define GAL_SHARED_DYNAMIC(type, name)                              \
    extern __shared__ __align__(128) unsigned char dynamic_bytes[]; \
    type *name = reinterpret_cast<type *>(dynamic_bytes)

/* Tells the double which kernel is launched next. */
static inline void gal_launch_name(const char *)
{
}

/* threadIdx.x, read anew at every call: what follows from it does not stay in registers. */
static __device__ __forceinline__ uint32_t gal_thread()
{
    uint32_t x;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(x));
    return x;
}

/* ---- tensor cores (PTX ISA: "Warp level matrix multiply-accumulate instructions") ----
 * d {16, 8} += a b by one warp. Lane l holds, with g = l / 4 and t = l % 4: d[0], d[1] of row g, columns 2t
 * and 2t + 1; d[2], d[3] the same of row g + 8. Two 16-bit numbers share a word, the first in the low half.
 */
#define GAL_MMA(name, shape, types)                                                                       \
    static __device__ __forceinline__ void gal_mma_##name(                                                \
        float(&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1)       \
    {                                                                                                     \
        asm("mma.sync.aligned." shape ".row.col." types " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, " \
            "{%0, %1, %2, %3};"                                                                           \
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                              \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));                                      \
    }
/* a {16, 16}: a0 row g, k 2t and 2t + 1; a1 row g + 8; a2, a3 the same at k + 8. b {16, 8}: b0 column g, k 2t
 * and 2t + 1; b1 at k + 8. */
GAL_MMA(f16, "m16n8k16", "f32.f16.f16.f32")
GAL_MMA(bf16, "m16n8k16", "f32.bf16.bf16.f32")
/* a {16, 8}: a0 row g, k t; a1 row g + 8; a2, a3 the same at k + 4. b {8, 8}: b0 column g, k t; b1 at k + 4.
 */
GAL_MMA(tf32, "m16n8k8", "f32.tf32.tf32.f32")

/* Two or four matrices of 8 rows x 16 bytes from shared memory: lanes 8 i ... 8 i + 7 name the rows of matrix
 * i, aligned to 16 bytes; lane l gets the word l % 4 of each matrix's row l / 4. */
static __device__ __forceinline__ void gal_ldmatrix(uint32_t (&r)[2], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}
static __device__ __forceinline__ void gal_ldmatrix(uint32_t (&r)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

/* 16 bytes from global to shared memory, both aligned: there when this thread has waited for them. */
static __device__ __forceinline__ void gal_copy_async(void *shared, const void *global)
{
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((uint32_t)__cvta_generic_to_shared(shared)),
        "l"(global)
        : "memory");
}
static __device__ __forceinline__ void gal_copy_wait()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

/* ---- a barrier in two parts ---- */

/* In 8 bytes of shared memory, for so many arrivals a turn. What a thread does between its arrival and its
 * wait waits for nobody; what was done before an arrival is seen by who has waited for that turn. Turns are
 * known by their parity, the first one's is 0. */
static __device__ __forceinline__ void gal_arrivals(uint64_t *barrier, uint32_t count)
{
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"((uint32_t)__cvta_generic_to_shared(barrier)),
                 "r"(count)
                 : "memory");
}
static __device__ __forceinline__ void gal_arrive(uint64_t *barrier)
{
    asm volatile("{.reg .b64 state; mbarrier.arrive.shared.b64 state, [%0];}" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(barrier))
                 : "memory");
}
static __device__ __forceinline__ void gal_await(uint64_t *barrier, uint32_t parity)
{
    uint32_t done;
    do
        asm volatile("{.reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                     : "=r"(done)
                     : "r"((uint32_t)__cvta_generic_to_shared(barrier)), "r"(parity)
                     : "memory");
    while (!done);
}

/* ---- numbers of fewer bits: rounded to nearest, ties to even, in TF32 away from 0 ---- */
static __device__ __forceinline__ uint32_t gal_pack_f16(float low, float high)
{
    uint32_t word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
static __device__ __forceinline__ uint32_t gal_pack_bf16(float low, float high)
{
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
static __device__ __forceinline__ uint32_t gal_round_tf32(float x)
{
    uint32_t word;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
    return word;
}
/* The number in the low half of a word. */
static __device__ __forceinline__ float gal_low_f16(uint32_t word)
{
    return __half2float(__ushort_as_half((unsigned short)word));
}

/* tanh, off by at most 2^-11 of it, in one instruction. */
static __device__ __forceinline__ float gal_tanh_approx(float x)
{
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#endif
