/* cublas.cpp: the calls of cuBLASLt that need a card. Descriptors are the real library's, which makes and
 * checks them without one; the product is a plain loop behind the rules of the documentation of
 * cublasLtMatmul: shapes, leading dimensions, alignment, workspace, the bias' pointer. */
#include "double.h"
#include <algorithm>
#include <cstdlib>
#include <cublasLt.h>
using namespace twin;

struct Matrix {
    cudaDataType_t type;
    cublasLtOrder_t order;
    uint64_t rows, columns;
    int64_t lead;
    int32_t batch;
};
/* What a heuristic's answer is good for, kept in the opaque algorithm. */
struct Answer {
    uint32_t magic;
    uint16_t align[4];
    uint32_t m, n, k;
    uint64_t workspace;
};
static_assert(sizeof(Answer) <= sizeof(cublasLtMatmulAlgo_t));
enum { MAGIC = 0x6a11 };

struct Product {
    Matrix a, b, c;
    cublasOperation_t ta, tb;
    uint64_t m, n, k;
    cublasLtEpilogue_t epilogue;
    cublasComputeType_t compute;
    const float *bias;
};

static Matrix matrix(cublasLtMatrixLayout_t layout, const char *name)
{
    Matrix m = {};
    size_t n;
#define READ(attribute, to)                                                                                 \
    if (cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_##attribute, &to, sizeof to, &n) != \
        CUBLAS_STATUS_SUCCESS)                                                                              \
    fault("cublasLtMatmul: %s is no layout", name)
    READ(TYPE, m.type);
    READ(ORDER, m.order);
    READ(ROWS, m.rows);
    READ(COLS, m.columns);
    READ(LD, m.lead);
    READ(BATCH_COUNT, m.batch);
#undef READ
    if (m.order != CUBLASLT_ORDER_COL || m.batch != 1 || m.type != CUDA_R_32F)
        fault("cublasLtMatmul: %s: the double has one column-major float32 matrix only", name);
    if (m.lead < (int64_t)m.rows)
        fault("cublasLtMatmul: %s: leading dimension %ld of %lu rows", name, (long)m.lead,
              (unsigned long)m.rows);
    return m;
}

static Product product(cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                       cublasLtMatrixLayout_t c)
{
    Product p = {};
    size_t n;
    p.a = matrix(a, "A"), p.b = matrix(b, "B"), p.c = matrix(c, "C");
#define READ(attribute, to) \
    cublasLtMatmulDescGetAttribute(d, CUBLASLT_MATMUL_DESC_##attribute, &to, sizeof to, &n)
    READ(TRANSA, p.ta);
    READ(TRANSB, p.tb);
    READ(EPILOGUE, p.epilogue);
    READ(COMPUTE_TYPE, p.compute);
    READ(BIAS_POINTER, p.bias);
#undef READ
    p.m = p.ta == CUBLAS_OP_N ? p.a.rows : p.a.columns;
    p.k = p.ta == CUBLAS_OP_N ? p.a.columns : p.a.rows;
    p.n = p.tb == CUBLAS_OP_N ? p.b.columns : p.b.rows;
    if (p.k != (p.tb == CUBLAS_OP_N ? p.b.rows : p.b.columns) || p.c.rows != p.m || p.c.columns != p.n)
        fault("cublasLtMatmul: op(A) is %lu x %lu, op(B) has %lu columns, C is %lu x %lu", (unsigned long)p.m,
              (unsigned long)p.k, (unsigned long)p.n, (unsigned long)p.c.rows, (unsigned long)p.c.columns);
    bool bias = p.epilogue == CUBLASLT_EPILOGUE_BIAS || p.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    if (p.epilogue != CUBLASLT_EPILOGUE_DEFAULT && !bias && p.epilogue != CUBLASLT_EPILOGUE_RELU)
        fault("cublasLtMatmul: the double has no epilogue %d", (int)p.epilogue);
    if (bias && !p.bias)
        fault("cublasLtMatmul: an epilogue with bias, without its pointer");
    p.bias = bias ? p.bias : nullptr;
    return p;
}

/* A factor as the tensor cores take it: rounded to nearest even at `dropped` bits of the fraction. */
static float rounded(float x, cublasComputeType_t compute)
{
    int dropped = compute == CUBLAS_COMPUTE_32F_FAST_16BF   ? 16
                  : compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? 13
                  : compute == CUBLAS_COMPUTE_32F_FAST_16F  ? 13
                                                            : 0;
    uint32_t bits = __float_as_uint(x);
    if (!dropped || x != x)
        return x;
    bits += ((1u << (dropped - 1)) - 1) + (bits >> dropped & 1);
    return __uint_as_float(bits & ~((1u << dropped) - 1));
}

/* op(x) {rows, columns} by columns, so that the loop over rows is over neighbours. */
static std::vector<float> packed(const float *x, const Matrix &m, cublasOperation_t op, uint64_t rows,
                                 uint64_t columns, cublasComputeType_t compute)
{
    std::vector<float> all(rows * columns);
    for (uint64_t j = 0; j < columns; j++)
        for (uint64_t i = 0; i < rows; i++)
            all[j * rows + i] =
                rounded(x[op == CUBLAS_OP_N ? i + j * (uint64_t)m.lead : j + i * (uint64_t)m.lead], compute);
    return all;
}

static void check_all(const void *p, const Matrix &m, bool write, const char *what)
{
    for (uint64_t j = 0; j < m.columns; j++)
        check_range((const float *)p + j * (uint64_t)m.lead, m.rows * 4, write, what);
}

static void multiply(const Product &p, float alpha, const float *A, const float *B, float beta,
                     const float *C, float *D)
{
    check_all(A, p.a, false, "cublasLtMatmul's A");
    check_all(B, p.b, false, "cublasLtMatmul's B");
    check_all(D, p.c, true, "cublasLtMatmul's D");
    std::vector<float> a = packed(A, p.a, p.ta, p.m, p.k, p.compute),
                       b = packed(B, p.b, p.tb, p.k, p.n, p.compute);
    bool relu = p.epilogue == CUBLASLT_EPILOGUE_RELU || p.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    share((int64_t)p.n, [&](int64_t one) {
        uint64_t j = (uint64_t)one;
        std::vector<float> column(p.m);
        for (uint64_t k = 0; k < p.k; k++)
            for (uint64_t i = 0; i < p.m; i++)
                column[i] += a[k * p.m + i] * b[j * p.k + k];
        float *out = D + j * (uint64_t)p.c.lead;
        const float *old = C + j * (uint64_t)p.c.lead;
        for (uint64_t i = 0; i < p.m; i++) {
            float y = alpha * column[i] + (beta != 0 ? beta * old[i] : 0) + (p.bias ? p.bias[i] : 0);
            out[i] = relu && y < 0 ? 0 : y;
        }
    });
    for (uint64_t j = 0; j < p.n; j++)
        written(D + j * (uint64_t)p.c.lead, p.m * 4);
}

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = (cublasLtHandle_t)malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *result, int *found)
{
    if (outside_capture() != cudaSuccess)
        return CUBLAS_STATUS_EXECUTION_FAILED; /* plans are made before */
    Product p = product(d, a, b, c);
    Answer answer = {MAGIC, {}, (uint32_t)p.m, (uint32_t)p.n, (uint32_t)p.k, 0};
    static const cublasLtMatmulPreferenceAttributes_t sides[4] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    size_t n;
    for (int i = 0; i < 4; i++) {
        uint32_t align = 0;
        cublasLtMatmulPreferenceGetAttribute(preference, sides[i], &align, sizeof align, &n);
        answer.align[i] = (uint16_t)align;
    }
    cublasLtMatmulPreferenceGetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &answer.workspace, sizeof answer.workspace, &n);
    *found = wanted > 0;
    *result = {};
    std::memcpy(&result->algo, &answer, sizeof answer);
    result->workspaceSize = answer.workspace; /* all that it may take, so that the caller gives as much */
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t la, const void *B, cublasLtMatrixLayout_t lb,
                              const void *beta, const void *C, cublasLtMatrixLayout_t lc, void *D,
                              cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t bytes, cudaStream_t stream)
{
    Product p = product(d, la, lb, lc);
    Answer answer;
    std::memcpy(&answer, algo, sizeof answer);
    if (answer.magic != MAGIC || answer.m != p.m || answer.n != p.n || answer.k != p.k ||
        bytes < answer.workspace)
        fault("cublasLtMatmul: the algorithm was chosen for another product or a larger workspace");
    const void *at[4] = {A, B, C, D};
    for (int i = 0; i < 4; i++)
        if (answer.align[i] && (uintptr_t)at[i] % answer.align[i])
            fault("cublasLtMatmul: %c at %p, chosen for alignment %d", "ABCD"[i], at[i], answer.align[i]);
    float x = *(const float *)alpha, y = *(const float *)beta;
    cudaError_t error = push(stream, "cublasLtMatmul", [=] {
        if (workspace) { /* the library's: nothing may rely on it */
            check_range(workspace, answer.workspace, true, "cublasLtMatmul's workspace");
            std::memset(workspace, 0xff, std::min<size_t>(answer.workspace, 4096));
        }
        multiply(p, x, (const float *)A, (const float *)B, y, (const float *)C, (float *)D);
    });
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
