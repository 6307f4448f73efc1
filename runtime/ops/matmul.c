/* matmul.c: products of matrices and of linear layers: check, then issue. */
#include "ops.h"
#include "core/random.h"

gal_status gal_matmul(gal_tensor *y, const gal_tensor *a, const gal_tensor *b, int accumulate, int precision)
{
    CHECK("matmul", FLAT(y), ANY(a), ANY(b));
    RANK("matmul", a, 2);
    RANK("matmul", b, 2);
    if (a->shape[1] != b->shape[0])
        return gal_fail(GAL_SHAPE, "matmul: a is %s and b is %s: a's columns and b's rows differ",
                        gal_shape_text(a), gal_shape_text(b));
    SHAPE("matmul", y, "{rows of a, columns of b}", a->shape[0], b->shape[1]);
    gal_matmul_args args = {.y = y->data,
                            .a = a->data,
                            .b = b->data,
                            .m = a->shape[0],
                            .n = b->shape[1],
                            .k = a->shape[1],
                            .ldy = b->shape[1]};
    args.a_row = a->stride[0], args.a_col = a->stride[1], args.b_row = b->stride[0],
    args.b_col = b->stride[1];
    args.accumulate = accumulate, args.precision = precision;
    gal_status status = gal_check_precision(GAL_OP_matmul, gal_backend_of(y), precision);
    return status == GAL_OK ? ISSUE(y, matmul, &args, 2 * args.m * args.n * (args.k ? args.k : 1)) : status;
}

gal_status gal_linear(gal_tensor *y, gal_tensor *slope, const gal_tensor *x, const gal_tensor *w,
                      const gal_tensor *b, int activation, int precision)
{
    CHECK("linear", FLAT(y), FLAT(x), FLAT(w), {"b", b ? b : w, GAL_F32, 1},
          {"slope", slope ? slope : y, GAL_F32, 1});
    RANK("linear", x, 2);
    RANK("linear", w, 2);
    if (x->shape[1] != w->shape[1])
        return gal_fail(GAL_SHAPE, "linear: x is %s, expected {rows, %lld} for w %s", gal_shape_text(x),
                        (long long)w->shape[1], gal_shape_text(w));
    SHAPE("linear", y, "{rows, out}", x->shape[0], w->shape[0]);
    if (b)
        SHAPE("linear", b, "{out}", w->shape[0]);
    if (slope)
        SHAPE("linear", slope, "{rows, out}", x->shape[0], w->shape[0]);
    gal_status status = gal_check_activation("linear", activation);
    if (status == GAL_OK)
        status = gal_check_precision(GAL_OP_linear, gal_backend_of(y), precision);
    if (status != GAL_OK)
        return status;
    gal_linear_args args = {.y = y->data,
                            .slope = slope ? slope->data : NULL,
                            .x = x->data,
                            .w = w->data,
                            .b = b ? b->data : NULL};
    args.rows = x->shape[0], args.in = w->shape[1], args.out = w->shape[0], args.activation = activation;
    args.precision = precision;
    return ISSUE(y, linear, &args, 2 * args.rows * args.out * (args.in + 8));
}

gal_status gal_linear_backward_input(gal_tensor *dx, const gal_tensor *dz, const gal_tensor *w, int precision)
{
    CHECK("linear_backward_input", FLAT(dx), FLAT(dz), FLAT(w));
    RANK("linear_backward_input", w, 2);
    RANK("linear_backward_input", dz, 2);
    SHAPE("linear_backward_input", dz, "{rows, out}", dz->shape[0], w->shape[0]);
    SHAPE("linear_backward_input", dx, "{rows, in}", dz->shape[0], w->shape[1]);
    gal_linear_args args = {.y = dx->data,
                            .x = dz->data,
                            .w = w->data,
                            .rows = dz->shape[0],
                            .in = w->shape[1],
                            .out = w->shape[0],
                            .precision = precision};
    gal_status status = gal_check_precision(GAL_OP_linear_backward_input, gal_backend_of(dx), precision);
    return status == GAL_OK
               ? ISSUE(dx, linear_backward_input, &args, 2 * args.rows * args.in * (args.out + 1))
               : status;
}

gal_status gal_linear_backward_weight(gal_tensor *dw, gal_tensor *db, const gal_tensor *dz,
                                      const gal_tensor *x, int accumulate, int precision)
{
    CHECK("linear_backward_weight", FLAT(dz), FLAT(x), {"dw", dw ? dw : dz, GAL_F32, 1},
          {"db", db ? db : dz, GAL_F32, 1});
    RANK("linear_backward_weight", dz, 2);
    RANK("linear_backward_weight", x, 2);
    SHAPE("linear_backward_weight", x, "{rows, in}", dz->shape[0], x->shape[1]);
    if (dw)
        SHAPE("linear_backward_weight", dw, "{out, in}", dz->shape[1], x->shape[1]);
    if (db)
        SHAPE("linear_backward_weight", db, "{out}", dz->shape[1]);
    gal_linear_args args = {
        .y = dw ? dw->data : NULL, .slope = db ? db->data : NULL, .x = x->data, .w = dz->data};
    args.rows = x->shape[0], args.in = x->shape[1], args.out = dz->shape[1], args.accumulate = accumulate;
    args.precision = precision;
    gal_status status = gal_check_precision(GAL_OP_linear_backward_weight, gal_backend_of(dz), precision);
    return status == GAL_OK
               ? ISSUE(dz, linear_backward_weight, &args, 2 * args.out * (args.in + 1) * args.rows)
               : status;
}
