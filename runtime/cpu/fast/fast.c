/* fast.c: which entries of the table this instruction set overrides; the files beside it say how. */
#include "fast.h"
#include "vec.h"

/* Each of these files has a function that enters its kernels into the table. */
/* clang-format off */
#define FILES(X) \
    X(conv)      \
    X(flow)      \
    X(integrate) \
    X(kde)       \
    X(map)       \
    X(matmul)    \
    X(norm)      \
    X(pool)      \
    X(random)    \
    X(step)
#define DECLARE(name) void FAST(name)(gal_cpu_kernels *table);
/* clang-format on */
FILES(DECLARE)

#define ENTER(name) FAST(name)(table);
void GAL_PASTE(gal_, fast, GAL_ISA)(gal_cpu_kernels *table)
{
    FILES(ENTER)
}
