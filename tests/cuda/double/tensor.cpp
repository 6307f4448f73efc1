/* tensor.cpp: instructions of tensor cores by their documented fragments (PTX ISA: "Matrix fragments for
 * mma.m16n8k16", "mma.m16n8k8", "ldmatrix"), and copies to shared memory that are done when they are waited
 * for, not before. Sums run in float32 in ascending k; a card's order is its own. */
#include "double.h"
using namespace twin;

/* ---- products ---- */

struct Fragment {
    float d[4];
    uint32_t a[4], b[2];
};
static_assert(sizeof(Fragment) <= sizeof(Record), "a lane's share of a product is laid down whole");

/* Number `i` of the two in a word. */
struct F16 {
    enum { EACH = 2 };
    static float at(uint32_t word, int i)
    {
        return _cvtsh_ss((unsigned short)(word >> 16 * i));
    }
};
struct BF16 {
    enum { EACH = 2 };
    static float at(uint32_t word, int i)
    {
        return __uint_as_float(i ? word & 0xffff0000u : word << 16);
    }
};
struct TF32 { /* the low bits are not looked at */
    enum { EACH = 1 };
    static float at(uint32_t word, int)
    {
        return __uint_as_float(word & ~0x1fffu);
    }
};

template <class kind> static void multiply(Record *table)
{
    enum { K = 8 * kind::EACH };
    float a[16][K], b[K][8], d[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const Fragment &f = *(const Fragment *)table[lane].bytes;
        int group = lane / 4, t = lane % 4 * kind::EACH;
        for (int e = 0; e < kind::EACH; e++) {
            for (int i = 0; i < 4; i++)
                a[group + i % 2 * 8][t + e + i / 2 * K / 2] = kind::at(f.a[i], e);
            for (int i = 0; i < 2; i++)
                b[t + e + i * K / 2][group] = kind::at(f.b[i], e);
        }
        for (int i = 0; i < 4; i++)
            d[group + i / 2 * 8][lane % 4 * 2 + i % 2] = f.d[i];
    }
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < K; k++)
            for (int n = 0; n < 8; n++)
                d[m][n] += a[m][k] * b[k][n];
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            ((Fragment *)table[lane].bytes)->d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

#define GAL_MMA(name, kind)                                                                            \
    void gal_mma_##name(float(&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, \
                        uint32_t b1, const char *file, int line)                                       \
    {                                                                                                  \
        Fragment f = {{d[0], d[1], d[2], d[3]}, {a0, a1, a2, a3}, {b0, b1}};                           \
        const Record *all = meet(0xffffffffu, MMA, &f, sizeof f, file, line, multiply<kind>);          \
        std::memcpy(d, all[lane()].bytes, sizeof d);                                                   \
    }
GAL_MMA(f16, F16)
GAL_MMA(bf16, BF16)
GAL_MMA(tf32, TF32)

/* ---- ldmatrix ---- */

static void load(uint32_t *r, int matrices, const void *row, const char *file, int line, const void *caller)
{
    if (lane() < 8 * matrices) {
        if ((uintptr_t)row % 16)
            fault("%s:%d: ldmatrix of a row at %p, not aligned to 16 bytes", file, line, row);
        if (!on_device(row) || (size_t)((const char *)row - shared_at) >= SHARED_BYTES)
            fault("%s:%d: ldmatrix of a row at %p, not in shared memory", file, line, row);
        check_range(row, 16, false, "ldmatrix", caller);
        access(row, 16, false, false, caller);
    }
    const Record *all = meet(0xffffffffu, LDMATRIX, &row, sizeof row, file, line);
    for (int i = 0; i < matrices; i++) {
        const char *from;
        std::memcpy(&from, all[8 * i + lane() / 4].bytes, sizeof from);
        std::memcpy(&r[i], from + lane() % 4 * 4, 4);
    }
}
void gal_ldmatrix(uint32_t (&r)[2], const void *row, const char *file, int line)
{
    load(r, 2, row, file, line, __builtin_return_address(0));
}
void gal_ldmatrix(uint32_t (&r)[4], const void *row, const char *file, int line)
{
    load(r, 4, row, file, line, __builtin_return_address(0));
}

/* ---- cp.async ---- */

void gal_copy_async(void *shared, const void *global, const char *file, int line)
{
    const void *caller = __builtin_return_address(0);
    if ((uintptr_t)shared % 16 || (uintptr_t)global % 16)
        fault("%s:%d: cp.async from %p to %p, not aligned to 16 bytes", file, line, global, shared);
    check_range(shared, 16, true, "cp.async", caller);
    check_range(global, 16, false, "cp.async", caller);
    access(global, 16, false, false, caller);
    access(shared, 16, true, false,
           caller); /* it may be written from here on, and is not there before the wait */
    forget(shared, 16);
    std::memset(shared, 0xff, 16);
    block->copies[block->current].push_back({shared, global});
}

void gal_copy_wait()
{
    auto own = block->copies.find(block->current);
    if (own == block->copies.end())
        return;
    for (const Copy &c : own->second) {
        std::memcpy(c.to, c.from, 16);
        access(c.to, 16, true, false, __builtin_return_address(0));
    }
    own->second.clear();
}
