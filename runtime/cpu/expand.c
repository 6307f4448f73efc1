/* expand.c: from an op to the kernels that run it on the CPU, stage after stage; their precisions. */
#include "cpu.h"

static gal_kernel *kernel_of(const gal_cpu_kernels *kernels, int op)
{
    switch (op) {
#define KERNEL(name, ...) \
    case GAL_OP_##name:   \
        return kernels->name;
        GAL_OPS(KERNEL)
#undef KERNEL
    default:
        return NULL;
    }
}

static int stage(gal_cpu_stage *stages, int count, gal_kernel *kernel, const gal_call *call, int64_t work)
{
    if (!kernel)
        return count;
    stages[count] = (gal_cpu_stage){kernel, call->args, work};
    return count + 1;
}

int gal_cpu_expand(gal_cpu_stage *stages, const gal_cpu_kernels *kernels, const gal_call *call)
{
    gal_kernel *prepare = NULL, *finish = NULL;
    int64_t last = GAL_SERIAL; /* the work of finish */
    if (call->op == GAL_OP_conv2d)
        prepare = kernels->conv2d_prepare;
    if (call->op == GAL_OP_conv2d_backward)
        prepare = kernels->conv2d_backward_prepare, finish = kernels->conv2d_backward_finish,
        last = call->work;
    if (call->op == GAL_OP_flow_integrate)
        prepare = kernels->flow_integrate_prepare;
    if (call->op == GAL_OP_flow_batch)
        finish = gal_cpu_flow_batch_finish;
    if (call->op == GAL_OP_adamw || call->op == GAL_OP_sgd)
        finish = gal_cpu_step_finish;
    int count = stage(stages, 0, prepare, call, GAL_WHOLE);
    count = stage(stages, count, kernel_of(kernels, call->op), call, call->work);
    return stage(stages, count, finish, call, last);
}

int gal_cpu_has_precision(const gal_backend *device, int op, int precision)
{
    (void)device;
    int rounds = op == GAL_OP_conv2d || op == GAL_OP_conv2d_backward || op == GAL_OP_flow_integrate;
    return precision == GAL_IN_F32 || (precision == GAL_IN_BF16 && rounds);
}
