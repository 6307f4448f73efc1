/* fast.c: which entries of the table this instruction set overrides. */
#include "fast.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

void PASTE(gal_fast_, GAL_ISA)(gal_backend *table)
{
    (void)table;
}
