/* scratch.c: one block of memory that the large kernels work in, one after another. It belongs to the
 * backend, grows to what the largest of them needs, and does not count as tensors' memory. */
#include "cpu.h"
#include "scratch.h"
#include <stdlib.h>

static void *block;
static size_t held;

gal_status gal_cpu_scratch_grow(size_t bytes)
{
    if (bytes <= held)
        return GAL_OK;
    free(block);
    held = 0;
    if (posix_memalign(&block, 4096, bytes) != 0) {
        block = NULL;
        return gal_fail(GAL_MEMORY, "cpu: no memory left for %zu bytes to work in", bytes);
    }
    held = bytes;
    return GAL_OK;
}

void *gal_cpu_scratch(void)
{
    return block;
}
