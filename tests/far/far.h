/* far.h: what the test device takes of the CPU: its specification's kernels (kernels.c) and how an op becomes
 * stages (cpu/expand.c). */
#ifndef FAR_H
#define FAR_H
#include "cpu/cpu.h"

const gal_cpu_kernels *far_kernels(void);

#endif
