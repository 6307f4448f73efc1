/* device.h: of CUDA's device side, what our kernels use beside the language. tests/cuda/double/device.h has
 * the same for a CPU, and is found first when the double is built; nothing else in cuda/ knows of it. */
#ifndef GAL_DEVICE_H
#define GAL_DEVICE_H
#include <cstdint>
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
#endif
