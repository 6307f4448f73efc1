/* kernels_random.c: Philox against its published vectors; draws that are the same bits from every instruction
 * set and lane; moments; permutations; dropout. */
#include "kernels.h"
#include "kernels_image.h"
#include "core/random.h"

static void known_answers(void)
{
    CASE("Philox4x32-10 gives the published vectors (Random123, kat_vectors)");
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
         0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
         0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        gal_philox_block(out, kat[i], kat[i] + 4);
        for (int j = 0; j < 4; j++)
            IS_INT(out[j], kat[i][6 + j]);
    }
    CASE("block and stream are the counter's low and high half");
    uint32_t a[4], b[4];
    gal_random_block(a, 0xa4093822u | (uint64_t)0x299f31d0u << 32, 0x243f6a88u | (uint64_t)0x85a308d3u << 32,
                     0x13198a2eu | (uint64_t)0x03707344u << 32);
    gal_philox_block(b, kat[2], kat[2] + 4);
    IS_TRUE(memcmp(a, b, sizeof a) == 0);
    IS_INT(a[0], kat[2][6]);
}

static void box_muller(void)
{
    CASE("a pair of normals is Box & Muller's of its two words");
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        uint32_t a = (uint32_t)number(0, 4294967296.0), b = (uint32_t)number(0, 4294967296.0);
        if (i < 6)
            a = i & 1 ? UINT32_MAX : 0, b = i < 2 ? 0 : i < 4 ? UINT32_MAX : 1u << 31;
        float x, y;
        gal_random_normals(a, b, &x, &y);
        double r = sqrt(-2 * log(((a >> 8) + 1) * 0x1p-24)), angle = 2 * acos(-1) * ((b >> 8) * 0x1p-24);
        worst = fmax(worst, fmax(fabs(x - r * cos(angle)), fabs(y - r * sin(angle))));
    }
    IS_NEAR(worst, 0, 2e-6);
}

static void same_everywhere(void)
{
    CASE("uniforms and normals are the same bits from every instruction set and lane");
    static const int64_t shapes[][2] = {{1, 1}, {1, 2}, {1, 1003}, {7, 5}, {64, 5}, {33, 10}, {100, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int normal = 0; normal < 2; normal++) {
            int64_t rows = shapes[s][0], n = shapes[s][1], streams[128];
            uint64_t state[2] = {0x123456789abcdefu, UINT32_MAX - 3u}; /* the counter's low word runs over */
            for (int64_t r = 0; r < rows; r++)
                streams[r] = (int64_t)(number(-9e18, 9e18));
            float *first = NULL;
            EACH_TABLE(table, isa)
            for (int lanes = 1; lanes <= 3; lanes++) {
                float *y = walled(rows * n);
                gal_random_args args = {
                    .y = y, .state = state, .streams = rows > 1 ? streams : NULL, .rows = rows, .n = n};
                IS_OK(by_lanes(normal ? table->normal : table->uniform, &args, lanes));
                REPORT(walls_stand(y, rows * n), "draws (%s) write outside", isa);
                if (!first)
                    first = y;
                REPORT(same_bits(y, first, rows * n), "draws {%lld, %lld} (%s) differ by %d lanes",
                       (long long)rows, (long long)n, isa, lanes);
                if (y != first)
                    unwall(y);
            }
            for (int64_t r = 0; r < rows; r += 3) /* by the definition in galrun_ops.h */
                for (int64_t i = 0; i < n; i++) {
                    uint32_t word[4];
                    gal_random_block(word, state[0], state[1] + (uint64_t)i / 4,
                                     rows > 1 ? (uint64_t)streams[r] : 0);
                    float pair[2] = {gal_random_uniform(word[i % 4]), gal_random_uniform(word[i % 4])};
                    if (normal)
                        gal_random_normals(word[i % 4 / 2 * 2], word[i % 4 / 2 * 2 + 1], &pair[0], &pair[1]);
                    REPORT(first[r * n + i] == pair[i % 2], "draw %lld of row %lld is %.9g, expected %.9g",
                           (long long)i, (long long)r, first[r * n + i], pair[i % 2]);
                }
            unwall(first);
        }
}

static void moments(void)
{
    enum { N = 1 << 20 };
    uint64_t state[2] = {7, 0};
    float *y = malloc(N * sizeof *y);
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
    gal_random_args args = {.y = y, .state = state, .rows = 1, .n = N, .blocks = gal_blocks_of(N)};
    CASE("normals have the moments of N(0, 1) within five standard errors, and neighbours don't correlate");
    IS_OK(by_lanes(table->normal, &args, 1));
    double m[5] = {0}, neighbour = 0, beyond = 0;
    for (int i = 0; i < N; i++) {
        double v = y[i], p = 1;
        for (int k = 1; k < 5; k++)
            m[k] += (p *= v) / N;
        neighbour += i ? v * y[i - 1] / N : 0;
        beyond += fabs(v) > 3 ? 1.0 / N : 0;
    }
    double se = 1 / sqrt(N);
    IS_NEAR(m[1], 0, 5 * se);
    IS_NEAR(m[2], 1, 5 * sqrt(2) * se);
    IS_NEAR(m[3], 0, 5 * sqrt(15) * se);
    IS_NEAR(m[4], 3, 5 * sqrt(96) * se);
    IS_NEAR(neighbour, 0, 5 * se);
    IS_NEAR(beyond, 0.0026998, 5 * sqrt(0.0027) * se);
    CASE("uniforms lie in [0, 1) with the right mean and variance");
    IS_OK(by_lanes(table->uniform, &args, 1));
    double mean = 0, square = 0, low = 1, high = 0;
    for (int i = 0; i < N; i++) {
        mean += y[i] / (double)N, square += (double)y[i] * y[i] / N;
        low = fmin(low, y[i]), high = fmax(high, y[i]);
    }
    IS_TRUE(low >= 0 && high < 1 && low < 1e-4 && high > 1 - 1e-4);
    IS_NEAR(mean, 0.5, 5 * se / sqrt(12));
    IS_NEAR(square, 1.0 / 3, 5 * se * sqrt(4.0 / 45));
    CASE("advancing moves the counter once, whatever the lanes");
    IS_OK(by_lanes(table->random_advance, &args, 3));
    IS_INT(state[1], N / 4);
    free(y);
}

static void permutations(void)
{
    CASE("a permutation holds every number once, and each first place is as likely");
    const gal_cpu_kernels *table = gal_cpu_table(NULL);
    int64_t y[1000], seen[1000] = {0}, firsts[6] = {0};
    uint64_t state[2] = {3, 100};
    gal_random_args args = {.y = y, .state = state, .rows = 1, .n = 1000};
    IS_OK(by_lanes(table->permutation, &args, 2));
    int64_t fixed = 0;
    for (int i = 0; i < 1000; i++) {
        IS_TRUE(y[i] >= 0 && y[i] < 1000 && seen[y[i]]++ == 0);
        fixed += y[i] == i;
    }
    IS_TRUE(fixed < 10);
    args.n = 6;
    for (int i = 0; i < 60000; i++) {
        state[1] += (uint64_t)gal_blocks_permutation(6);
        IS_OK(by_lanes(table->permutation, &args, 1));
        firsts[y[0]]++;
    }
    for (int i = 0; i < 6; i++)
        IS_NEAR(firsts[i], 10000, 5 * sqrt(60000 * (1 / 6.0) * (5 / 6.0)));
}

static void dropouts(void)
{
    int64_t n = 100003;
    gal_tensor *x = TENSOR(n), *y = TENSOR(n), *dy = TENSOR(n), *dx = TENSOR(n), *u = TENSOR(n);
    gal_tensor *state = tensor(GAL_I64, 1, (int64_t[]){2}), *used = tensor(GAL_I64, 1, (int64_t[]){2});
    int64_t *s = state->data, *before = used->data;
    random_fill(dy);
    for (int64_t i = 0; i < n; i++)
        ((float *)x->data)[i] = 1;
    CASE("dropout keeps 1 - p of the elements, scaled by 1 / (1 - p)");
    s[0] = 7, s[1] = 100;
    IS_OK(gal_dropout(y, used, x, state, 0.25));
    IS_INT(before[0], 7);
    IS_INT(before[1], 100);
    IS_INT(s[1], 100 + (n + 3) / 4);
    int64_t kept = 0, others = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = ((float *)y->data)[i];
        kept += v != 0;
        others += v != 0 && fabsf(v - 4.0f / 3) > 1e-6f;
    }
    IS_NEAR((double)kept / (double)n, 0.75, 5 * sqrt(0.25 * 0.75 / (double)n));
    IS_INT(others, 0);
    CASE("the mask is drawn as gal_uniform draws");
    s[1] = 100;
    IS_OK(gal_uniform(u, state));
    int64_t different = 0;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)u->data)[i] >= 0.25f) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    CASE("the backward uses the forward's mask, and the next forward another");
    IS_OK(gal_dropout_backward(dx, dy, used, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += ((float *)dx->data)[i] != ((float *)dy->data)[i] * ((float *)y->data)[i] &&
                     fabsf(((float *)dx->data)[i]) > 2;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    IS_OK(gal_dropout(dx, NULL, x, state, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_NEAR((double)different / (double)n, 2 * 0.25 * 0.75, 0.01);
    CASE("p = 0 changes nothing");
    IS_OK(gal_dropout(dx, NULL, dy, state, 0));
    IS_TRUE(!memcmp(dx->data, dy->data, (size_t)n * 4));
    sentinels_and_free();
}

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(6), *state = tensor(GAL_I64, 1, (int64_t[]){2});
    FAILS(gal_dropout(x, NULL, x, x, 0.5), GAL_TYPE, "dropout: state is float32, expected int64");
    FAILS(gal_dropout(x, NULL, x, state, 1), GAL_VALUE, "dropout: p is 1, expected 0 <= p < 1");
    sentinels_and_free();
}

int main(void)
{
    known_answers();
    box_muller();
    same_everywhere();
    moments();
    permutations();
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (table)
            dropouts();
    }
    table = gal_cpu_table(NULL);
    sentences();
    return finish();
}
