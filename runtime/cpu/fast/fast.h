/* fast.h: the only symbols of this folder that the rest of the program calls. Every .c of the folder is
 * compiled once for each instruction set (GAL_ISA), and its symbols carry the set's name; cpu.c chooses a set
 * at run time. */
#ifndef GAL_FAST_H
#define GAL_FAST_H
#include "cpu/cpu.h"

/* Overrides the entries of the table that this instruction set does faster. */
void gal_fast_plain(gal_cpu_kernels *table);
void gal_fast_avx2(gal_cpu_kernels *table);
void gal_fast_avx512(gal_cpu_kernels *table);

#endif
