/* conv_onednn.h: convolutions by oneDNN instead of our own. */
#ifndef GAL_CONV_ONEDNN_H
#define GAL_CONV_ONEDNN_H
#include "backend.h"

/* Overrides the convolutions of the table; 0 where the build has no oneDNN. */
int gal_cpu_onednn(gal_backend *table);

#endif
