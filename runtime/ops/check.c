/* check.c: what every op asks of its operands before it is issued: dtype, layout, shape, one device. */
#include "ops.h"
#include <stdio.h>
#include <string.h>

/* The failure of operand i, which is not on the first one's device. The first is mostly the result, which the
 * user did not make: two others that differ are named where there are such. */
static gal_status two_devices(const char *op, const gal_operand *operands, int count, int i)
{
    const gal_operand *a = &operands[0], *b = &operands[i];
    for (int k = 1; k < count; k++)
        if (operands[k].x && gal_backend_of(operands[k].x) != gal_backend_of(b->x)) {
            a = &operands[k < i ? k : i];
            b = &operands[k < i ? i : k];
            break;
        }
    return gal_fail(GAL_DEVICE, "%s: %s is on %s but %s is on %s", op, a->name, gal_tensor_device(a->x),
                    b->name, gal_tensor_device(b->x));
}

gal_status gal_check(const char *op, const gal_operand *operands, int count)
{
    const gal_tensor *first = operands[0].x;
    for (int i = 0; i < count; i++) {
        const gal_operand *o = &operands[i];
        if (!o->x)
            return gal_fail(GAL_VALUE, "%s: %s is missing", op, o->name);
        if (o->x->dtype != o->dtype)
            return gal_fail(GAL_TYPE, "%s: %s is %s, expected %s", op, o->name, gal_dtype_name(o->x->dtype),
                            gal_dtype_name(o->dtype));
        if (o->x->storage->backend != first->storage->backend)
            return two_devices(op, operands, count, i);
        if (o->contiguous && !gal_tensor_contiguous(o->x))
            return gal_fail(GAL_SHAPE, "%s: %s %s is a strided view, expected a contiguous tensor", op,
                            o->name, gal_shape_text(o->x));
        gal_status status = gal_program_hold(o->x);
        if (status != GAL_OK)
            return status;
    }
    return GAL_OK;
}

gal_status gal_check_activation(const char *op, int activation)
{
    return activation >= 0 && activation < GAL_ACTIVATION_COUNT
               ? GAL_OK
               : gal_fail(GAL_VALUE, "%s: activation is %d, expected 0 to %d", op, activation,
                          GAL_ACTIVATION_COUNT - 1);
}

gal_status gal_check_precision(int op, const gal_backend *device, int precision)
{
    static const char *const names[] = {"f32", "tf32", "f16", "bf16"};
    const char *name = gal_op_name(op);
    if (precision < GAL_IN_F32 || precision > GAL_IN_BF16)
        return gal_fail(GAL_VALUE, "%s: precision is %d, expected %d to %d", name, precision, GAL_IN_F32,
                        GAL_IN_BF16);
    if (device->has_precision(device, op, precision))
        return GAL_OK;
    char has[64] = "";
    for (int i = GAL_IN_F32, n = 0; i <= GAL_IN_BF16; i++)
        if (device->has_precision(device, op, i))
            n += snprintf(has + n, sizeof has - (size_t)n, n ? " or %s" : "%s", names[i]);
    return gal_fail(GAL_DEVICE, "%s: precision is %s, which %s does not have for it, expected %s", name,
                    names[precision], device->name, has);
}

gal_status gal_device_precision(const char *device, const char *op, int precision)
{
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    int number = 0;
    while (number < GAL_OP_COUNT && strcmp(gal_op_name(number), op) != 0)
        number++;
    return status == GAL_OK ? gal_check_precision(number, backend, precision) : status;
}

const char *gal_activation_name(int activation)
{
#define NAME(NAME, name) #name,
    static const char *const names[] = {GAL_ACTIVATIONS(NAME)};
#undef NAME
    return activation >= 0 && activation < GAL_ACTIVATION_COUNT ? names[activation] : NULL;
}

gal_status gal_check_shape(const char *op, const char *name, const gal_tensor *x, const char *meaning,
                           int rank, const int64_t *shape)
{
    if (x->rank == rank && memcmp(x->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return GAL_OK;
    gal_tensor expected = {.rank = rank};
    memcpy(expected.shape, shape, (size_t)rank * sizeof *shape);
    return gal_fail(GAL_SHAPE, "%s: %s is %s, expected %s for %s", op, name, gal_shape_text(x),
                    gal_shape_text(&expected), meaning);
}
