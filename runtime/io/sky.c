/* sky.c: finds rows of tables that lie near one another on the sky, by a k-d tree of unit vectors (Bentley
 * 1975), to which neither the poles nor right ascension 0 are special. */
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEGREE (3.14159265358979323846 / 180)
#define LEAF 8       /* points that are compared one by one */
#define POLLED 65536 /* rows, some 50 ms, between two looks for Ctrl-C */

typedef struct point {
    double v[3]; /* on the unit sphere */
    int64_t row;
} point;
/* Points {n} in order: the median of each range of them, by its axis {n}, halves it. */
typedef struct tree {
    point *point;
    uint8_t *axis;
    int64_t n;
} tree;

static void free_tree(tree *t)
{
    free(t->point);
    free(t->axis);
}

/* *out = the place at right ascension ra and declination dec, degrees; *there = 0 where it is missing. */
static gal_status place(point *out, int *there, double ra, double dec, int64_t row)
{
    *there = !(isnan(ra) || isnan(dec) || ra == -9999 || dec == -9999);
    if (!*there)
        return GAL_OK;
    if (!(fabs(ra) <= 360) || !(fabs(dec) <= 90))
        return gal_fail(GAL_VALUE,
                        "row %lld has the position %.10g, %.10g, expected degrees: right ascension from -360 "
                        "to 360, declination from -90 to 90",
                        (long long)row + 1, ra, dec);
    double a = ra * DEGREE, d = dec * DEGREE;
    *out = (point){.v = {cos(d) * cos(a), cos(d) * sin(a), sin(d)}, .row = row};
    return GAL_OK;
}

static double square_between(const double *a, const double *b)
{
    double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return x * x + y * y + z * z;
}

/* The angle between two unit vectors in arcsec, as exact near 0 as near 180 degrees. */
static double arcsec_between(const double *a, const double *b)
{
    double half = 0.5 * sqrt(square_between(a, b)), sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (a[k] + b[k]) * (a[k] + b[k]);
    return 2 * atan2(half, 0.5 * sqrt(sum)) / DEGREE * 3600;
}

/* The square of the chord that radius, arcsec, spans. */
static double square_of(double radius)
{
    double chord = 2 * sin(fmin(radius / 3600, 180) * DEGREE / 2);
    return chord * chord;
}

static gal_status read_points(tree *t, const double *ra, const double *dec, int64_t n)
{
    t->point = malloc((size_t)(n + 1) * sizeof *t->point);
    t->axis = malloc((size_t)n + 1);
    gal_status status =
        t->point && t->axis ? GAL_OK : gal_fail(GAL_MEMORY, "no memory for %lld positions", (long long)n);
    for (int64_t k = 0; !status && k < n; k++) {
        int there;
        status = place(&t->point[t->n], &there, ra[k], dec[k], k);
        t->n += there;
    }
    return status;
}

/* The axis along which points [first, end) spread most. */
static int widest(const point *p, int64_t first, int64_t end)
{
    double low[3], high[3];
    memcpy(low, p[first].v, sizeof low);
    memcpy(high, p[first].v, sizeof high);
    for (int64_t k = first + 1; k < end; k++)
        for (int a = 0; a < 3; a++) {
            low[a] = fmin(low[a], p[k].v[a]);
            high[a] = fmax(high[a], p[k].v[a]);
        }
    int axis = 0;
    for (int a = 1; a < 3; a++)
        if (high[a] - low[a] > high[axis] - low[axis])
            axis = a;
    return axis;
}

static void swap(point *p, int64_t i, int64_t k)
{
    point kept = p[i];
    p[i] = p[k];
    p[k] = kept;
}

/* Orders points [first, end) so that none before `middle` is above it along the axis, and none behind it
 * below (Hoare 1961). */
static void select_middle(point *p, int64_t first, int64_t end, int64_t middle, int axis)
{
    int64_t low = first, high = end - 1;
    while (low < high) {
        double pivot = p[low + (high - low) / 2].v[axis];
        int64_t i = low, k = high;
        while (i <= k) {
            while (p[i].v[axis] < pivot)
                i++;
            while (p[k].v[axis] > pivot)
                k--;
            if (i <= k)
                swap(p, i++, k--);
        }
        if (middle <= k)
            high = k;
        else if (middle >= i)
            low = i;
        else
            return;
    }
}

static void build(tree *t, int64_t first, int64_t end)
{
    while (end - first > LEAF) {
        int64_t middle = first + (end - first) / 2;
        int axis = widest(t->point, first, end);
        select_middle(t->point, first, end, middle, axis);
        t->axis[middle] = (uint8_t)axis;
        build(t, first, middle);
        first = middle + 1;
    }
}

/* ---- the nearest ---- */

typedef struct search {
    const tree *tree;
    const uint8_t *preferred; /* by row, or NULL */
    double v[3], square;      /* where, and the square of the longest chord */
    int64_t best;             /* a point of the tree, or -1 */
    double best_square;
    int found; /* how many were met, of at least 2 if there are as many */
} search;

static int is_preferred(const search *s, int64_t k)
{
    return s->preferred && s->preferred[s->tree->point[k].row];
}

static void meet(search *s, int64_t k)
{
    const point *p = &s->tree->point[k];
    double square = square_between(s->v, p->v);
    if (square > s->square)
        return;
    s->found++;
    int mine = is_preferred(s, k), its = s->best >= 0 && is_preferred(s, s->best);
    int nearer = s->best < 0 || square < s->best_square ||
                 (square == s->best_square && p->row < s->tree->point[s->best].row);
    if (mine > its || (mine == its && nearer)) {
        s->best = k;
        s->best_square = square;
    }
}

/* How far away a point can still be of use. */
static double bound(const search *s)
{
    int settled = s->found >= 2 && (!s->preferred || is_preferred(s, s->best));
    return settled ? s->best_square : s->square;
}

static void look(search *s, int64_t first, int64_t end)
{
    while (end - first > LEAF) {
        int64_t middle = first + (end - first) / 2;
        int axis = s->tree->axis[middle];
        double away = s->v[axis] - s->tree->point[middle].v[axis];
        int before = away < 0;
        look(s, before ? first : middle + 1, before ? middle : end);
        if (away * away > bound(s))
            return;
        meet(s, middle);
        if (before)
            first = middle + 1;
        else
            end = middle;
    }
    for (int64_t k = first; k < end; k++)
        meet(s, k);
}

gal_status gal_sky_near(int64_t *row, double *arcsec, gal_matched *counts, const double *ra,
                        const double *dec, int64_t n, const double *other_ra, const double *other_dec,
                        int64_t others, const uint8_t *preferred, double radius)
{
    tree t = {0};
    uint8_t *taken = calloc((size_t)others + 1, 1);
    *counts = (gal_matched){0};
    gal_status status =
        taken ? GAL_OK : gal_fail(GAL_MEMORY, "no memory for %lld positions", (long long)others);
    if (!status)
        status = read_points(&t, other_ra, other_dec, others);
    if (!status)
        build(&t, 0, t.n);
    for (int64_t k = 0; !status && k < n; k++) {
        point here;
        int there;
        if (k % POLLED == 0 && gal_interrupted())
            status = gal_fail(GAL_INTERRUPTED, "interrupted");
        else
            status = place(&here, &there, ra[k], dec[k], k);
        if (status)
            break;
        search s = {.tree = &t, .preferred = preferred, .square = square_of(radius), .best = -1};
        row[k] = there ? GAL_ROW_NONE : GAL_ROW_UNNAMED;
        arcsec[k] = NAN;
        counts->missing += !there;
        if (!there)
            continue;
        memcpy(s.v, here.v, sizeof s.v);
        look(&s, 0, t.n);
        if (s.best < 0)
            continue;
        row[k] = t.point[s.best].row;
        arcsec[k] = arcsec_between(here.v, t.point[s.best].v);
        counts->matched++;
        counts->several += s.found > 1;
        counts->shared += taken[row[k]];
        taken[row[k]] = 1;
    }
    free_tree(&t);
    free(taken);
    return status;
}

/* ---- groups ---- */

/* The first row of the group that row k is in. */
static int64_t first_of(int64_t *group, int64_t k)
{
    while (group[k] != k)
        k = group[k] = group[group[k]];
    return k;
}

static void unite(int64_t *group, int64_t i, int64_t k)
{
    i = first_of(group, i);
    k = first_of(group, k);
    if (i < k)
        group[k] = i;
    else
        group[i] = k;
}

static void unite_near(int64_t *group, const tree *t, const point *p, double square, int64_t first,
                       int64_t end)
{
    while (end - first > LEAF) {
        int64_t middle = first + (end - first) / 2;
        const point *m = &t->point[middle];
        double away = p->v[t->axis[middle]] - m->v[t->axis[middle]];
        if (square_between(p->v, m->v) <= square)
            unite(group, p->row, m->row);
        if (away * away <= square)
            unite_near(group, t, p, square, first, middle);
        else if (away < 0) {
            end = middle;
            continue;
        }
        first = middle + 1;
    }
    for (int64_t k = first; k < end; k++)
        if (square_between(p->v, t->point[k].v) <= square)
            unite(group, p->row, t->point[k].row);
}

static int by_place(const void *a, const void *b)
{
    const point *p = a, *q = b;
    for (int k = 0; k < 3; k++)
        if (p->v[k] != q->v[k])
            return p->v[k] < q->v[k] ? -1 : 1;
    return p->row < q->row ? -1 : 1;
}

/* Unites rows at one place, and leaves one point of each place: many rows at one place (0, 0 for want of a
 * position) would be as many squared pairs. */
static void unite_equal(int64_t *group, tree *t)
{
    int64_t kept = 0;
    qsort(t->point, (size_t)t->n, sizeof *t->point, by_place);
    for (int64_t k = 0; k < t->n; k++) {
        if (kept > 0 && memcmp(t->point[k].v, t->point[kept - 1].v, sizeof t->point->v) == 0)
            unite(group, t->point[k].row, t->point[kept - 1].row);
        else
            t->point[kept++] = t->point[k];
    }
    t->n = kept;
}

gal_status gal_sky_groups(int64_t *group, const double *ra, const double *dec, int64_t n, double radius)
{
    tree t = {0};
    gal_status status = read_points(&t, ra, dec, n);
    for (int64_t k = 0; k < n; k++)
        group[k] = k;
    if (!status) {
        unite_equal(group, &t);
        build(&t, 0, t.n);
        for (int64_t k = 0; !status && k < t.n; k++) {
            if (k % POLLED == 0 && gal_interrupted())
                status = gal_fail(GAL_INTERRUPTED, "interrupted");
            unite_near(group, &t, &t.point[k], square_of(radius), 0, t.n);
        }
        for (int64_t k = 0; k < n; k++)
            group[k] = first_of(group, k);
    }
    free_tree(&t);
    return status;
}
