/* cublas.c: all that calls cuBLASLt. Our row-major y = a b is the library's column-major y^T = b^T a^T, so
 * that our b is its A. What it needs to know of a product, its choice of an algorithm included, is a plan,
 * made when the shape first comes up (while a program is recorded, never in a capture) and kept. */
#include "cuda.h"
#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#define WORKSPACE ((size_t)32 << 20) /* what NVIDIA recommends for Hopper */

/* A factor as the library reads it: a column-major matrix of `side` neighbours, so many of them, `lead`
 * apart. */
typedef struct factor {
    cublasOperation_t op;
    int64_t side, count, lead;
} factor;

/* What tells one plan from another. Addresses count by their alignment alone. */
typedef struct key {
    int64_t m, n, k, ldy;
    factor a, b; /* the library's */
    uint32_t align_a, align_b, align_y;
    int32_t accumulate, precision, bias, relu;
} key;

typedef struct product_plan {
    struct product_plan *next;
    key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, y;
    cublasLtMatmulAlgo_t algorithm;
} product_plan;

enum { BUCKETS = 256 };
struct gal_cuda_products {
    cublasLtHandle_t handle;
    void *workspace;
    product_plan *plans[BUCKETS];
};

static gal_status status_of(gal_cuda *device, cublasStatus_t status, const char *what)
{
    return status == CUBLAS_STATUS_SUCCESS
               ? GAL_OK
               : gal_cuda_host->fail(GAL_DEVICE, "%s: cuBLASLt: %s failed: %s", device->name, what,
                                     cublasLtGetStatusString(status));
}

static gal_status open_library(gal_cuda *device)
{
    struct gal_cuda_products *p = device->products;
    if (p)
        return GAL_OK;
    p = calloc(1, sizeof *p);
    if (!p)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    gal_status status = status_of(device, cublasLtCreate(&p->handle), "its opening");
    if (status == GAL_OK)
        status = gal_cuda_allocate(&device->backend, &p->workspace, WORKSPACE);
    if (status == GAL_OK)
        device->products = p;
    else
        free(p);
    return status;
}

/* ---- what a product is ---- */

/* The transpose of {rows, columns} at these strides, as it lies in memory; 0 where it has no neighbours. */
static int factor_of(factor *out, int64_t rows, int64_t columns, int64_t row, int64_t column)
{
    int by_rows = column == 1 || columns == 1;
    if (!by_rows && row != 1 && rows != 1)
        return 0;
    out->op = by_rows ? CUBLAS_OP_N : CUBLAS_OP_T;
    out->side = by_rows ? columns : rows;
    out->count = by_rows ? rows : columns;
    int64_t lead = by_rows ? row : column;
    out->lead = out->count > 1 ? lead : out->side;
    return out->lead >= out->side;
}

int gal_cuda_library_takes(const gal_matmul_args *g)
{
    factor a, b;
    return factor_of(&b, g->m, g->k, g->a_row, g->a_col) && factor_of(&a, g->k, g->n, g->b_row, g->b_col);
}

/* Views begin at any element; told nothing, the library takes all for aligned to 256 bytes. */
static uint32_t alignment(const void *p)
{
    return 1u << __builtin_ctzll((uintptr_t)p | 256);
}

static key key_of(const gal_matmul_args *g, const float *bias, int relu)
{
    key k;
    memset(&k, 0, sizeof k); /* keys are compared and hashed byte by byte */
    k.m = g->m, k.n = g->n, k.k = g->k, k.ldy = g->ldy;
    factor_of(&k.b, g->m, g->k, g->a_row, g->a_col);
    factor_of(&k.a, g->k, g->n, g->b_row, g->b_col);
    k.align_a = alignment(g->b), k.align_b = alignment(g->a), k.align_y = alignment(g->y);
    k.accumulate = g->accumulate != 0, k.precision = g->precision, k.bias = bias != NULL, k.relu = relu != 0;
    return k;
}

static unsigned bucket_of(const key *k)
{
    const unsigned char *bytes = (const unsigned char *)k;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *k; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash % BUCKETS;
}

/* ---- plans ---- */

static cublasComputeType_t compute_of(int precision)
{
    switch (precision) {
    case GAL_IN_TF32:
        return CUBLAS_COMPUTE_32F_FAST_TF32;
    case GAL_IN_F16:
        return CUBLAS_COMPUTE_32F_FAST_16F;
    case GAL_IN_BF16:
        return CUBLAS_COMPUTE_32F_FAST_16BF;
    default:
        return CUBLAS_COMPUTE_32F;
    }
}

/* Runs a call unless one before it has failed. */
#define TRY(call)                            \
    do {                                     \
        if (status == CUBLAS_STATUS_SUCCESS) \
            status = (call);                 \
    } while (0)

static cublasStatus_t set_bias(product_plan *p, const float *bias)
{
    return bias ? cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                                 sizeof bias)
                : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t describe(product_plan *p, const float *bias)
{
    const key *k = &p->key;
    cublasLtEpilogue_t epilogue = k->bias   ? k->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
                                  : k->relu ? CUBLASLT_EPILOGUE_RELU
                                            : CUBLASLT_EPILOGUE_DEFAULT;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    TRY(cublasLtMatmulDescCreate(&p->product, compute_of(k->precision), CUDA_R_32F));
    TRY(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, &k->a.op, sizeof k->a.op));
    TRY(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSB, &k->b.op, sizeof k->b.op));
    TRY(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                       sizeof epilogue));
    TRY(cublasLtMatrixLayoutCreate(&p->a, CUDA_R_32F, (uint64_t)k->a.side, (uint64_t)k->a.count, k->a.lead));
    TRY(cublasLtMatrixLayoutCreate(&p->b, CUDA_R_32F, (uint64_t)k->b.side, (uint64_t)k->b.count, k->b.lead));
    TRY(cublasLtMatrixLayoutCreate(&p->y, CUDA_R_32F, (uint64_t)k->n, (uint64_t)k->m, k->ldy));
    TRY(set_bias(p, bias));
    return status;
}

static cublasStatus_t choose(product_plan *p, cublasLtHandle_t handle)
{
    const key *k = &p->key;
    cublasLtMatmulPreference_t wish = NULL;
    cublasLtMatmulHeuristicResult_t best;
    uint64_t room = WORKSPACE;
    int found = 0;
    cublasStatus_t status = cublasLtMatmulPreferenceCreate(&wish);
#define PREFER(what, value) \
    TRY(cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_##what, &value, sizeof value))
    PREFER(MAX_WORKSPACE_BYTES, room);
    PREFER(MIN_ALIGNMENT_A_BYTES, k->align_a);
    PREFER(MIN_ALIGNMENT_B_BYTES, k->align_b);
    PREFER(MIN_ALIGNMENT_C_BYTES, k->align_y);
    PREFER(MIN_ALIGNMENT_D_BYTES, k->align_y);
#undef PREFER
    TRY(cublasLtMatmulAlgoGetHeuristic(handle, p->product, p->a, p->b, p->y, p->y, wish, 1, &best, &found));
    if (status == CUBLAS_STATUS_SUCCESS && found == 0)
        status = CUBLAS_STATUS_NOT_SUPPORTED;
    if (status == CUBLAS_STATUS_SUCCESS)
        p->algorithm = best.algo;
    if (wish)
        cublasLtMatmulPreferenceDestroy(wish);
    return status;
}

static void drop(product_plan *p)
{
    if (p->product)
        cublasLtMatmulDescDestroy(p->product);
    if (p->a)
        cublasLtMatrixLayoutDestroy(p->a);
    if (p->b)
        cublasLtMatrixLayoutDestroy(p->b);
    if (p->y)
        cublasLtMatrixLayoutDestroy(p->y);
    free(p);
}

static gal_status plan_of(gal_cuda *device, product_plan **out, const key *k, const float *bias)
{
    struct gal_cuda_products *all = device->products;
    product_plan **bucket = &all->plans[bucket_of(k)];
    for (product_plan *p = *bucket; p; p = p->next)
        if (!memcmp(&p->key, k, sizeof *k)) {
            *out = p;
            return GAL_OK;
        }
    product_plan *p = calloc(1, sizeof *p);
    if (!p)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    p->key = *k;
    cublasStatus_t status = describe(p, bias);
    TRY(choose(p, all->handle));
    if (status != CUBLAS_STATUS_SUCCESS) {
        drop(p);
        return status_of(device, status, "the choice of an algorithm");
    }
    p->next = *bucket;
    *bucket = *out = p;
    return GAL_OK;
}

gal_status gal_cuda_library_product(gal_cuda *device, const gal_matmul_args *g, const float *bias, int relu)
{
    product_plan *p = NULL;
    key k = key_of(g, bias, relu);
    float one = 1, beta = g->accumulate ? 1.0f : 0.0f;
    gal_status opened = open_library(device);
    if (opened == GAL_OK)
        opened = plan_of(device, &p, &k, bias);
    if (opened != GAL_OK)
        return opened;
    struct gal_cuda_products *all = device->products;
    cublasStatus_t status = set_bias(p, bias);
    TRY(cublasLtMatmul(all->handle, p->product, &one, g->b, p->a, g->a, p->b, &beta, g->y, p->y, g->y, p->y,
                       &p->algorithm, all->workspace, WORKSPACE, device->stream));
    return status_of(device, status, "a product");
}
