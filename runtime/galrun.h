/* galrun.h: all that Lua sees of the C runtime, in five parts that may each be included alone. What a device
 * has to supply is in backend.h, which only runtime/ and devices' libraries include.
 *
 * The headers are C11 and C++, and their text, preprocessed with -DGAL_CDEF, is the cdef that LuaJIT reads at
 * start-up. So macros and includes stand above a header's GAL_BEGIN, and plain declarations alone below it.
 *
 * Conventions. A shape is written {rows, columns}; tensors are row-major; dimensions and indices count from 0
 * here (from 1 in Lua). An op's results come first. The caller makes them with the right shape; an op never
 * allocates what it returns. A function that can fail returns a gal_status, and gal_error() then holds one
 * sentence that names the argument, what it was and what was expected. No function exits, aborts, jumps or
 * touches a lua_State. */
#ifndef GALRUN_H
#define GALRUN_H

#include "galrun_core.h" /* status codes, memory, devices, tensors, programs */
#include "galrun_ops.h"  /* ops on tensors */
#include "galrun_io.h"   /* files */
#include "galrun_net.h"  /* servers on the network */
#include "galrun_mock.h" /* the mock survey */

#endif
