/* depends.c: which calls of a recorded list may run side by side. A wrong "no" here would be a race, so what isn't known depends. */
#include "lanes.h"

int gal_cpu_depends(const gal_call *later, const gal_call *earlier)
{
    (void)later, (void)earlier;
    return 1;
}
