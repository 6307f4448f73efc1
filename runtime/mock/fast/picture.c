/* picture.c: a galaxy's profiles, noise and colours, a vector of pixels at a time. */
#include "kernels.h"
#include "cpu/fast/philox.h"
#include "cpu/fast/vmath.h"
#include "blur.h"

/* 0, 1, 2, ... */
INLINE vec ramp(void)
{
    float count[VL];
    for (int i = 0; i < VL; i++)
        count[i] = (float)i;
    return load(count);
}

/* Sine and cosine for |x| < 1000: quarter turns taken off in two parts (Cody & Waite 1980), then Cephes'
 * polynomials (Moshier 1992). */
INLINE void vsincos(vec x, vec *sine, vec *cosine)
{
    const vec magic = splat(12582912.0f); /* 1.5 2^23: adding it rounds to a whole number */
    vec n = fma_(x, splat(0.636619772f), magic) - magic;
    vec a = fma_(n, splat(-7.5497899549e-8f), fma_(n, splat(-1.5707962513f), x)), z = a * a;
    vec s = fma_(
        fma_(fma_(splat(-1.9515295891e-4f), z, splat(8.3321608736e-3f)), z, splat(-1.6666654611e-1f)) * z, a,
        a);
    vec c = fma_(fma_(fma_(splat(2.443315711809948e-5f), z, splat(-1.388731625493765e-3f)), z,
                      splat(4.166664568298827e-2f)) *
                     z,
                 z, fma_(splat(-0.5f), z, splat(1)));
    ivec quarter = __builtin_convertvector(n, ivec), odd = -(quarter & 1);
    vec u = choose(odd, c, s), v = choose(odd, s, c);
    *sine = (vec)((ivec)u ^ ((quarter & 2) << 30));
    *cosine = (vec)((ivec)v ^ (((quarter + 1) & 2) << 30));
}

/* The factor of arms, lopsidedness and dust lane at x', y' (already divided by the axis ratio), r. */
INLINE vec pattern(const gal_picture_disc *d, vec x, vec y, vec r, vec height)
{
    vec inverse = reciprocal(r), c = x * inverse, s = y * inverse; /* cos and sin of theta */
    vec cn = c * c - s * s, sn = 2 * c * s;
    if (d->arms == 3) {
        vec next = cn * c - sn * s;
        sn = sn * c + cn * s;
        cn = next;
    }
    vec sine, cosine;
    vsincos(fma_(vlog(r), splat(d->winding), splat(d->phase)), &sine, &cosine);
    vec rise = 1 - vexp(-(r * r) * (1 / (d->reach * d->reach)));
    vec waves =
        d->arm * (cn * cosine + sn * sine) + d->lopsided * (c * d->lopsided_cosine + s * d->lopsided_sine);
    vec factor = at_least(fma_(waves, rise, splat(1)), 0.0f);
    if (d->lane > 0)
        factor *= 1 - 0.5f * vexp(-(height * height) * (0.5f / (d->lane * d->lane)));
    return factor;
}

static float disc(float *plane, float *arms, const gal_picture_disc *d, int b)
{
    vec sum = splat(0), count = ramp();
    const float half = (GAL_SIDE - 1) / 2.0f, flat = 1 / d->axis_ratio;
    for (int row = 0; row < GAL_SIDE; row++)
        for (int col = 0; col < GAL_SIDE; col += VL) {
            vec x = count + ((float)col - half - d->shift[b][0]);
            float y = (float)row - half - d->shift[b][1];
            vec along = x * d->cosine + y * d->sine, across = y * d->cosine - x * d->sine, v = across * flat;
            float soft = d->soft * flat;
            vec r = quick_square_root(fma_(along, along, fma_(v, v, splat(soft * soft))));
            int at = row * GAL_SIDE + col;
            if (b == 0)
                store(arms + at, pattern(d, along, v, r, across));
            vec value = load(arms + at) * vexp(r * (-1 / d->scale[b]));
            store(plane + at, value);
            sum += value;
        }
    return total(sum);
}

static float bulge(float *plane, float cosine, float sine, float axis_ratio, float radius, float dx, float dy)
{
    vec sum = splat(0), count = ramp();
    const float half = (GAL_SIDE - 1) / 2.0f, flat = 1 / axis_ratio;
    for (int row = 0; row < GAL_SIDE; row++)
        for (int col = 0; col < GAL_SIDE; col += VL) {
            vec x = count + ((float)col - half - dx);
            float y = (float)row - half - dy;
            vec along = x * cosine + y * sine, v = (y * cosine - x * sine) * flat;
            vec r = at_least(quick_square_root(fma_(along, along, v * v)), 0.35f);
            vec value = vexp(quick_square_root(r * (1 / radius)) * -3.67f);
            store(plane + row * GAL_SIDE + col, value);
            sum += value;
        }
    return total(sum);
}

/* Of each 64 pixels number 16 i + s has normal i of block s: the order in which the vectors hold them. */
static void noise(float *out, const float *plane, float variance, float per_light, uint64_t key,
                  uint64_t block, uint64_t stream)
{
    uint64_t streams[SIDE];
    for (int s = 0; s < SIDE; s++)
        streams[s] = stream;
    for (int at = 0; at < GAL_PLANE; at += 4 * SIDE) {
        uint64_t numbers[SIDE];
        blocks words;
        float normal[4][SIDE];
        for (int s = 0; s < SIDE; s++)
            numbers[s] = block + (uint64_t)(at / 4 + s);
        philox(&words, key, numbers, streams);
        for (int i = 0; i < 4; i += 2)
            normals(words.word[i], words.word[i + 1], normal[i], normal[i + 1]);
        for (int i = 0; i < 4 * SIDE; i += VL) {
            vec light = load(plane + at + i);
            vec deviation = square_root(fma_(at_least(light, 0.0f), splat(per_light), splat(variance)));
            store(out + at + i, load(normal[0] + i) * deviation);
        }
    }
}

static void colours(uint8_t *rgb, const float *gri)
{
    for (int at = 0; at < GAL_PLANE; at += VL) {
        vec x[3] = {2.0f * load(gri + 2 * GAL_PLANE + at), 2.5f * load(gri + GAL_PLANE + at),
                    3.3f * load(gri + at)};
        vec t = absolute((x[0] + x[1] + x[2]) * (8 / 3.0f));
        /* asinh(t) / t, near 0 by its series. */
        vec far = vlog(t + square_root(fma_(t, t, splat(1)))) / at_least(t, 1e-3f), z = t * t;
        vec near = fma_(z, fma_(z, splat(0.075f), splat(-1 / 6.0f)), splat(1));
        vec factor = choose(t < splat(0.1f), near, far), largest = splat(1);
        for (int c = 0; c < 3; c++) {
            x[c] *= factor;
            largest = choose(x[c] > largest, x[c], largest);
        }
        int32_t value[3][VL];
        for (int c = 0; c < 3; c++) {
            ivec whole = __builtin_convertvector(
                fma_(at_least(x[c], 0.0f) * 255.0f, reciprocal(largest), splat(0.5f)), ivec);
            memcpy(value[c], &whole, sizeof whole);
        }
        for (int i = 0; i < VL; i++)
            for (int c = 0; c < 3; c++)
                rgb[3 * (at + i) + c] = (uint8_t)(value[c][i] < 255 ? value[c][i] : 255);
    }
}

const gal_picture_kernels FAST(picture) = {disc, bulge, blur, noise, colours};
