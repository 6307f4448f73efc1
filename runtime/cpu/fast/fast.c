/* fast.c: which entries of the table this instruction set overrides; the files beside it say how. */
#include "fast.h"
#include "vec.h"

void FAST(conv)(gal_backend *table);
void FAST(flow)(gal_backend *table);
void FAST(integrate)(gal_backend *table);
void FAST(kde)(gal_backend *table);
void FAST(matmul)(gal_backend *table);
void FAST(map)(gal_backend *table);
void FAST(norm)(gal_backend *table);
void FAST(pool)(gal_backend *table);
void FAST(random)(gal_backend *table);
void FAST(step)(gal_backend *table);

void GAL_PASTE(gal_, fast, GAL_ISA)(gal_backend *table)
{
    FAST(conv)(table);
    FAST(flow)(table);
    FAST(integrate)(table);
    FAST(kde)(table);
    FAST(matmul)(table);
    FAST(map)(table);
    FAST(norm)(table);
    FAST(pool)(table);
    FAST(random)(table);
    FAST(step)(table);
}
