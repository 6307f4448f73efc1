/* flux.c: the flux in r of a vector of draws at once, in float32: one draw in seven is bright enough for the
 * model itself to work it out again. The formulas are those of mock/population.c and mock/spectrum.c and are
 * explained there; the comments here name the differences. */
#include "kernels.h"
#include "mock/quick.h"
#include "cpu/fast/philox.h"
#include "cpu/fast/vmath.h"

#define LN10 2.302585093f

INLINE vec ten_to(vec x)
{
    return vexp(x * LN10);
}
INLINE vec limited(vec x, float low, float high)
{
    return at_least(at_most(x, high), low);
}
INLINE vec bent(gal_mock_bend b, vec below, vec above)
{
    return fma_(below, splat(b.below), fma_(above, splat(b.above), splat(b.at)));
}

/* The table's value at position `at`, linear between nodes. NaN, which absurd latents lead to, is position 0.
 */
INLINE vec look_up(const float *table, int nodes, vec at)
{
    vec y;
    at = choose(at >= splat(0), at, splat(0));
    for (int s = 0; s < VL; s++) {
        int node = (int)at[s];
        node = node < nodes ? node : nodes - 1;
        y[s] = table[node] + (at[s] - (float)node) * (table[node + 1] - table[node]);
    }
    return y;
}

/* Masses formed in each bin of age, up to a factor: the integral of e^(-gamma a). Where h = gamma width / 2
 * is small the difference of the exponentials at the edges would cancel: there e^(-gamma middle) width times
 * the series of sinh(h) / h. */
INLINE void histories(vec mass[GAL_AGES], vec gamma, vec oldest, vec burst, vec half_burst)
{
    vec before = splat(1), start = splat(0);
    for (int k = 0; k < GAL_AGES; k++) {
        float e = (float)gal_mock_edges[k + 1];
        vec end = choose(oldest < splat(e), oldest, splat(e)), width = end - start, h = gamma * width * 0.5f,
            square = h * h;
        vec near =
            width * vexp(-gamma * (start + end) * 0.5f) *
            fma_(square, fma_(square, fma_(square, splat(1 / 5040.0f), splat(1 / 120.0f)), splat(1 / 6.0f)),
                 splat(1));
        vec after = vexp(-gamma * end), far = (before - after) / gamma;
        mass[k] = choose(absolute(h) < splat(1), near, far);
        if (k < 3)
            mass[k] = mass[k] * (k < 2 ? burst : half_burst);
        before = after;
        start = end;
    }
}

/* Light in r of the lines that reach it (all but [O II]), for H alpha of luminosity 1 behind dust of A_V.
 * stretch: 1 + z. */
INLINE vec lines(vec oh, vec a_v, vec stretch, const gal_mock_quick *t)
{
    static const float wavelength[QUICK_LINES] = {4861, 4959, 5007, 6563, 6584, 6724};
    const vec h_beta = splat(1 / 2.86f);
    vec x = oh - 8.69f, oxygen = ten_to(limited((x - 0.15f) * -1.6f, -0.7f, 0.8f)) * h_beta;
    vec nitrogen = ten_to(limited(fma_(x - 0.2f, splat(0.9f), splat(-0.55f)), -1.8f, -0.2f));
    vec luminosity[QUICK_LINES] = {h_beta, oxygen * (1 / 3.0f), oxygen, splat(1), nitrogen, splat(0.28f)},
        sum = splat(0);
    for (int i = 0; i < QUICK_LINES; i++) {
        vec seen = stretch * wavelength[i]; /* the trapezoid of spectrum.c's bandpasses */
        vec through =
            choose(seen < splat(5736), (seen - 5443) * (4.95f / 293), (seen - 5736) * (0.74f / 889) + 4.95f);
        through = at_least(choose(seen > splat(6625), (6867 - seen) * (5.69f / 242), through), 0);
        sum = fma_(luminosity[i] * seen * through, ten_to(a_v * t->line_dust[i]), sum);
    }
    return sum;
}

typedef struct latents {
    vec log_mass, z, inclination; /* inclination: cos i */
    vec normal[7];                /* as population.c draws them */
} latents;

/* What the relations make of them. log_stretch: ln (1 + z); below, above: log10 (Z / 0.02) where it is
 * negative, where positive, else 0. */
typedef struct galaxy {
    vec log_stretch, sequence, oh, below, above, a_v;
} galaxy;

/* The redshift within which lies the share `place` of the volume that the mass can be seen in. Volumes are
 * cubes of comoving distances in units of the Hubble distance. */
INLINE vec redshift(vec place, vec volume, float nearest)
{
    vec x = vexp(vlog(fma_(place, volume - nearest, splat(nearest))) * (1 / 3.0f)), z = x;
    for (int step = 0; step < 5; step++)
        z = x * (1 + z) * reciprocal(fma_(z, fma_(z, splat(-0.27375f), splat(0.775f)), splat(1)));
    return z;
}

INLINE void relations(galaxy *g, const latents *l)
{
    vec m = l->log_mass - 10, offset = fma_(l->normal[0], splat(0.24f), l->normal[1] * 0.22f);
    g->log_stretch = vlog(1 + l->z);

    vec bend = at_least(m - 0.3f, 0);
    g->sequence = fma_(m, splat(0.80f), splat(-0.03f)) - bend * bend * 0.2f +
                  (g->log_stretch - 0.0676586485f) * (2.5f / LN10);
    vec low = limited(l->log_mass, 8.5f, 11.5f);
    vec mean = fma_(low, fma_(low, splat(-0.08026f), splat(1.847f)), splat(-1.492f)) +
               at_most(l->log_mass - 8.5f, 0) * 0.48f;
    vec slope = limited(fma_(m, splat(0.12f), splat(-0.14f)) - g->sequence * 0.108f, -0.35f, 0) * 0.5f;
    vec sigma = limited(0.095f - m * 0.06f, 0.06f, 0.16f);
    g->oh = at_most(mean + slope * offset +
                        sigma * (l->normal[4] * 0.707f - (l->normal[2] + l->normal[3]) * 0.5f),
                    9.45f);
    vec metals = limited((g->oh - 8.95f) * 1.3f - 0.12f + l->normal[5] * 0.12f, -0.7f, 0.4f);
    g->below = at_most(metals, 0);
    g->above = at_least(metals, 0);

    vec h_alpha = limited(fma_(m, fma_(m, fma_(m, splat(-0.09f), splat(0.11f)), splat(0.77f)), splat(0.91f)),
                          0.15f, 2.2f);
    vec tilt = vlog(fma_(l->inclination * l->inclination, splat(0.96f), splat(0.04f))) * (0.5f / LN10);
    vec face_on = h_alpha * (0.42f / 0.91f) * vexp(offset * (0.25f * LN10) + l->normal[6] * 0.35f);
    g->a_v = at_most(face_on * fma_(tilt * tilt, splat(3.4f), splat(1)), 4);
}

/* Lookback time at which star formation began, Gyr: asinh x = ln (x + sqrt(x^2 + 1)). */
INLINE vec oldest_stars(vec log_stretch)
{
    vec x = vexp(log_stretch * -1.5f) * 1.5275f;
    return at_most(vlog(x + square_root(fma_(x, x, splat(1)))) * 11.13f - 1, 13.4f);
}

INLINE vec flux(const latents *l, const gal_mock_quick *t)
{
    galaxy g;
    relations(&g, l);
    vec smooth = l->normal[0] * 0.24f, burst = ten_to(l->normal[1] * 0.22f),
        oldest = oldest_stars(g.log_stretch);
    /* 10^8.755874856 years = 0.57 Gyr */
    vec log_y = (l->log_mass - g.sequence - smooth - 8.755874856f) * LN10 - vlog(oldest);
    vec at = limited((log_y - t->history_low) * t->history_step, 0, GAL_HISTORY_NODES);
    vec gamma = look_up(t->history, GAL_HISTORY_NODES, at) / oldest;
    gamma = choose(absolute(gamma) < splat(1e-7f), splat(1e-7f), gamma);

    vec mass[GAL_AGES], surviving = splat(0), light = splat(0);
    histories(mass, gamma, oldest, burst, square_root(burst));
    vec dust = g.a_v * vexp((g.log_stretch - 0.1158580f) * 0.7f); /* ln (6175.6 / 5500) */
    for (int k = 0; k < GAL_AGES; k++) {
        vec c0 = bent(t->r[k][0], g.below, g.above), c1 = bent(t->r[k][1], g.below, g.above),
            c2 = bent(t->r[k][2], g.below, g.above);
        vec magnitude = fma_(l->z, fma_(l->z, c2, c1), c0) + dust * (k == 0 ? 1 / 0.44f : 1);
        light = fma_(mass[k], ten_to(magnitude * -0.4f), light);
        surviving = fma_(mass[k], bent(t->surviving[k], g.below, g.above), surviving);
    }
    /* Per square of the distance in Hubble distances: 10^9 / (H 10^5)^2, and for the lines 10^34.27 / (4 pi
     * (H 3.0857e24)^2 c 3.631e-29), as in spectrum.c. */
    light = light * 5.451985e-9f + lines(g.oh, g.a_v, 1 + l->z, t) * mass[0] * 7.794539e-14f;
    vec distance = l->z * fma_(l->z, fma_(l->z, splat(-0.27375f), splat(0.775f)), splat(1));
    return light * ten_to(l->log_mass) / (surviving * distance * distance);
}

/* Latents {SIDE} of draws first, first + 1, ... from their streams, as population.c draws them. */
INLINE void from_streams(float latents[10][SIDE], const gal_mock_quick *t, uint64_t seed, int64_t first)
{
    uint64_t block[SIDE], stream[SIDE];
    blocks words[3];
    float normal[8][SIDE];
    for (int b = 0; b < 3; b++) {
        for (int s = 0; s < SIDE; s++) {
            block[s] = (uint64_t)b;
            stream[s] = (uint64_t)(first + s) << 8 | GAL_MOCK_POPULATION;
        }
        philox(&words[b], seed, block, stream);
    }
    for (int i = 0; i < 8; i += 2)
        normals(words[1 + i / 4].word[i % 4], words[1 + i / 4].word[i % 4 + 1], normal[i], normal[i + 1]);
    memcpy(latents[3], normal, 7 * sizeof *normal);
    for (int i = 0; i < 3; i++)
        for (int s = 0; s < SIDE; s++)
            latents[i][s] = ((float)(words[0].word[i][s] >> 8) + 0.5f) * 0x1p-24f;
    for (int s = 0; s < SIDE; s += VL) {
        vec at = load(&latents[0][s]) * GAL_MASS_NODES, place = load(&latents[1][s]);
        store(&latents[0][s], look_up(t->log_mass, GAL_MASS_NODES, at));
        store(&latents[1][s], redshift(place, look_up(t->volume, GAL_MASS_NODES, at), t->nearest));
    }
}

/* Latents {SIDE} from `from` on of given {10, count}; behind the last one those of any galaxy. */
INLINE void from_given(float latents[10][SIDE], const float *given, int64_t from, int64_t count)
{
    size_t n = (size_t)(count - from < SIDE ? count - from : SIDE);
    for (int i = 0; i < 10; i++) {
        for (size_t s = n; s < SIDE; s++)
            latents[i][s] = i == 0 ? 10 : 0.1f;
        memcpy(latents[i], given + i * count + from, n * sizeof **latents);
    }
}

void FAST(flux)(float *y, const float *given, uint64_t seed, int64_t first, int64_t count)
{
    const gal_mock_quick *t = gal_mock_quick_ready();
    for (int64_t from = 0; from < count; from += SIDE) {
        float latent[10][SIDE], fluxes[SIDE];
        if (given)
            from_given(latent, given, from, count);
        else
            from_streams(latent, t, seed, first + from);
        for (int s = 0; s < SIDE; s += VL) {
            latents l = {.log_mass = load(&latent[0][s]),
                         .z = load(&latent[1][s]),
                         .inclination = load(&latent[2][s])};
            for (int i = 0; i < 7; i++)
                l.normal[i] = load(&latent[3 + i][s]);
            store(&fluxes[s], flux(&l, t));
        }
        memcpy(y + from, fluxes, (size_t)(count - from < SIDE ? count - from : SIDE) * sizeof *y);
    }
}
