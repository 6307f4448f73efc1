/* scratch.h: memory for kernels to work in. */
#ifndef GAL_SCRATCH_H
#define GAL_SCRATCH_H
#include "backend.h"
#include <stddef.h>

/* Makes the block at least `bytes` long, aligned to a page; its contents are lost. Only while no lane runs:
 * in a call that comes before the lanes' (GAL_WHOLE, GAL_SERIAL). */
gal_status gal_cpu_scratch_grow(size_t bytes);
/* The block. Its contents last for the calls of one op. */
void *gal_cpu_scratch(void);

#endif
