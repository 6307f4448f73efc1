/* conv_onednn.h: convolutions by oneDNN in place of those of fast/. */
#ifndef GAL_CONV_ONEDNN_H
#define GAL_CONV_ONEDNN_H
#include "cpu.h"

/* Overrides the convolutions of the table; returns 0 where the build has no oneDNN. */
int gal_cpu_onednn(gal_cpu_kernels *table);

#endif
