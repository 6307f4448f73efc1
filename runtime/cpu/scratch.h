/* scratch.h: memory for kernels to work in. */
#ifndef GAL_SCRATCH_H
#define GAL_SCRATCH_H
#include "backend.h"
#include <stddef.h>

/* At least `bytes`, aligned to a page; what was there is lost. Only where no lane runs: in a call that comes
 * before the lanes' (GAL_WHOLE, GAL_SERIAL). */
gal_status gal_cpu_scratch_grow(size_t bytes);
/* The block, for the calls of the same op; the next op uses it anew. */
void *gal_cpu_scratch(void);

#endif
