/* kernels_lanes.c: calls on threads: a replay equals the eager ops and any number of threads to the last bit;
 * a failing or interrupted replay says so and stops; the balance between all lanes and one. */
#include "kernels.h"
#include "cpu/lanes.h"

enum { ROWS = 60, IN = 37, OUT = 130, STEPS = 20 };

typedef struct net {
    gal_tensor *x, *w, *b, *dw, *db, *first, *second, *hyper, *step, *state, *index, *order, *cursor, *total,
        *input, *target, *theta;
} net;

static gal_tensor *make(int dtype, int rank, int64_t a, int64_t b)
{
    gal_tensor *x = NULL;
    IS_OK(gal_tensor_new(&x, "cpu", dtype, rank, (int64_t[]){a, b}));
    return x;
}

static net make_net(void)
{
    net n = {.x = make(GAL_F32, 2, ROWS, IN),
             .w = make(GAL_F32, 2, OUT, IN),
             .b = make(GAL_F32, 1, OUT, 0),
             .dw = make(GAL_F32, 2, OUT, IN),
             .db = make(GAL_F32, 1, OUT, 0),
             .first = make(GAL_F32, 2, OUT, IN),
             .second = make(GAL_F32, 2, OUT, IN),
             .hyper = make(GAL_F32, 1, 5, 0),
             .step = make(GAL_I64, 0, 0, 0),
             .state = make(GAL_I64, 1, 2, 0),
             .index = make(GAL_I64, 1, ROWS, 0),
             .order = make(GAL_I64, 1, ROWS * STEPS, 0),
             .cursor = make(GAL_I64, 0, 0, 0),
             .total = make(GAL_F64, 0, 0, 0),
             .input = make(GAL_F32, 2, ROWS, 1 + OUT),
             .target = make(GAL_F32, 2, ROWS, OUT),
             .theta = make(GAL_F32, 2, 100, OUT)};
    IS_OK(gal_tensor_write(n.state, (int64_t[]){5, 0}, 2));
    gal_tensor *random[] = {n.x, n.w, n.b, n.theta};
    for (int i = 0; i < 4; i++)
        IS_OK(gal_normal(random[i], n.state));
    gal_tensor *zero[] = {n.first, n.second, n.step, n.cursor, n.total};
    for (int i = 0; i < 5; i++)
        IS_OK(gal_fill(zero[i], 0));
    IS_OK(gal_tensor_write(n.hyper, (float[]){1e-2f, 0.9f, 0.999f, 1e-8f, 1e-2f}, 5));
    int64_t order[ROWS * STEPS];
    for (int i = 0; i < ROWS * STEPS; i++)
        order[i] = (int64_t)number(0, 100);
    IS_OK(gal_tensor_write(n.order, order, ROWS * STEPS));
    return n;
}

static void free_net(net *n)
{
    gal_tensor *all[] = {n->x,      n->w,     n->b,     n->dw,     n->db,    n->first,
                         n->second, n->hyper, n->step,  n->state,  n->index, n->order,
                         n->cursor, n->total, n->input, n->target, n->theta};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gal_tensor_free(all[i]);
}

/* One step: rows, draws, a layer forward and backward, AdamW; shared and serial calls in turn. */
static void step(net *n)
{
    gal_tensor *y = make(GAL_F32, 2, ROWS, OUT), *slope = make(GAL_F32, 2, ROWS, OUT),
               *dy = make(GAL_F32, 2, ROWS, OUT), *dz = make(GAL_F32, 2, ROWS, OUT);
    gal_tensor *loss = make(GAL_F32, 0, 0, 0), *one = make(GAL_F32, 0, 0, 0);
    IS_OK(gal_fill(one, 1));
    IS_OK(gal_flow_batch(n->input, n->target, n->index, n->order, n->cursor, n->theta, NULL, n->state, 0.05,
                         1));
    IS_OK(gal_linear(y, slope, n->x, n->w, n->b, GAL_SILU, GAL_IN_F32));
    IS_OK(gal_mse(loss, n->total, y, n->target));
    IS_OK(gal_mse_backward(dy, one, y, n->target));
    IS_OK(gal_mul(dz, dy, slope));
    IS_OK(gal_linear_backward_weight(n->dw, n->db, dz, n->x, 0, GAL_IN_F32));
    IS_OK(gal_adamw(n->w, n->dw, n->first, n->second, NULL, n->hyper, NULL, n->step));
}

/* The weights and the loss after STEPS steps: recorded and replayed, or op by op. */
static void train(float *w, double *total, int threads, int replayed, int64_t at_once)
{
    gal_threads(threads);
    number_state = 1;
    net n = make_net();
    gal_program *program = NULL;
    if (replayed) {
        IS_OK(gal_program_begin(&program, "cpu"));
        step(&n);
        IS_OK(gal_program_end(program));
        for (int64_t done = 1; done < STEPS; done += at_once)
            IS_OK(gal_program_replay(program, at_once < STEPS - done ? at_once : STEPS - done));
    } else {
        for (int i = 0; i < STEPS; i++) {
            IS_OK(gal_scope_open());
            step(&n);
            IS_OK(gal_scope_close());
        }
    }
    IS_OK(gal_tensor_read(n.w, w, OUT * IN));
    IS_OK(gal_tensor_read(n.total, total, 1));
    gal_program_free(program);
    free_net(&n);
}

static void replays(void)
{
    CASE("replayed steps equal eager steps to the last bit, by one, two and three threads");
    static float first[OUT * IN], w[OUT * IN];
    double total, first_total;
    train(first, &first_total, 1, 0, 1);
    IS_TRUE(first_total > 0 && isfinite(first_total));
    for (int threads = 1; threads <= 3; threads++)
        for (int way = 0; way < 3; way++) {
            train(w, &total, threads, way > 0, way == 2 ? 7 : 1);
            REPORT(same_bits(w, first, OUT * IN) && total == first_total,
                   "%d threads, way %d: loss %.17g, expected %.17g", threads, way, total, first_total);
        }
}

static void failures(void)
{
    CASE("a call that fails in a replay stops it there, and its sentence reaches the caller from any lane");
    for (int threads = 1; threads <= 3; threads++) {
        gal_threads(threads);
        enum { MANY = 40000 };
        gal_tensor *index = make(GAL_I64, 1, MANY, 0), *x = make(GAL_F32, 2, 10, 1),
                   *y = make(GAL_F32, 2, MANY, 1), *count = make(GAL_I64, 0, 0, 0),
                   *one = make(GAL_F32, 2, 1, 1), *many = make(GAL_F32, 2, 100, 1);
        IS_OK(gal_fill(index, 0));
        IS_OK(gal_fill(count, 0));
        IS_OK(gal_fill(x, 2));
        IS_OK(gal_fill(many, 2));
        gal_program *program = NULL;
        IS_OK(gal_program_begin(&program, "cpu"));
        IS_OK(gal_next_rows(one, many, count)); /* counts */
        IS_OK(gal_gather_rows(y, x, index));
        IS_OK(gal_affine(y, y, 2, 0));
        IS_OK(gal_next_rows(one, many, count));
        IS_OK(gal_program_end(program));
        IS_OK(gal_program_replay(program, 5));
        int64_t steps;
        IS_OK(gal_tensor_read(count, &steps, 1));
        IS_INT(steps, 12);
        static int64_t rows[MANY];
        rows[MANY - 3] = 10; /* in the last lane's share */
        IS_OK(gal_tensor_write(index, rows, MANY));
        FAILS(gal_program_replay(program, 5), GAL_VALUE, "gather_rows: index[39997] is 10, expected 0 to 9");
        IS_OK(gal_tensor_read(count, &steps, 1));
        IS_INT(steps, 13); /* the call before it ran, none after */
        rows[1] = -7;
        IS_OK(gal_tensor_write(index, rows, MANY));
        FAILS(gal_program_replay(program, 1), GAL_VALUE, "index[1] is -7"); /* of several, the first lane's */
        rows[1] = rows[MANY - 3] = 0;
        IS_OK(gal_tensor_write(index, rows, MANY));
        IS_OK(gal_program_replay(program, 1)); /* and it goes on */
        IS_OK(gal_tensor_read(count, &steps, 1));
        IS_INT(steps, 16);

        CASE("an interrupt stops a replay between two runs");
        gal_interrupt_set(1);
        FAILS(gal_program_replay(program, 3), GAL_INTERRUPTED, "interrupted");
        IS_OK(gal_tensor_read(count, &steps, 1));
        IS_INT(steps, 16);
        gal_interrupt_set(0);
        IS_OK(gal_program_replay(program, 3));
        gal_program_free(program);
        gal_tensor *all[] = {index, x, y, count, one, many};
        for (int i = 0; i < 6; i++)
            gal_tensor_free(all[i]);
        CASE("a call that fails in a replay stops it there, and its sentence reaches the caller from any "
             "lane");
    }
}

static gal_tensor *interrupting;
static gal_status interrupt_at_ten(const gal_lane *lane, const void *args)
{
    (void)args;
    int64_t *count = interrupting->data;
    if (lane->index == 0 && ++*count == 10)
        gal_interrupt_set(1);
    return GAL_OK;
}

static gal_status whole(const gal_lane *lane, const void *args)
{
    (void)args;
    return lane->count == 1 ? GAL_OK : gal_fail(GAL_STATE, "whole: %d lanes", lane->count);
}

static gal_status plus_one(const gal_lane *lane, const void *args)
{
    float *x = *(float *const *)args;
    int64_t from, to;
    gal_share(lane, 1000, 1, &from, &to);
    for (int64_t i = from; i < to; i++)
        x[i] += 1;
    return GAL_OK;
}

static gal_status backwards(const gal_lane *lane, const void *args)
{
    float *x = *(float *const *)args;
    int64_t from, to;
    gal_share(lane, 500, 1, &from, &to);
    for (int64_t i = from; i < to; i++) { /* pairs that two lanes own in plus_one */
        float swap = x[i];
        x[i] = x[999 - i];
        x[999 - i] = swap;
    }
    return GAL_OK;
}

static void plans(void)
{
    CASE("an interrupt in the middle of many runs stops after the run it came in");
    interrupting = make(GAL_I64, 0, 0, 0);
    float x[1000], *p = x;
    for (int threads = 1; threads <= 2; threads++) {
        gal_threads(threads);
        IS_OK(gal_fill(interrupting, 0));
        gal_cpu_stage calls[3] = {
            {interrupt_at_ten, &p, GAL_SERIAL}, {plus_one, &p, 1 << 20}, {backwards, &p, 1 << 20}};
        void *plan = NULL;
        for (int i = 0; i < 1000; i++)
            x[i] = 0;
        IS_OK(gal_cpu_plan(&plan, calls, 3));
        FAILS(gal_cpu_replay(gal_cpu_backend(), plan, 1000), GAL_INTERRUPTED, "interrupted");
        gal_interrupt_set(0);
        IS_INT(*(int64_t *)interrupting->data, 10);
        IS_TRUE(x[0] == 10 && x[999] == 10 && x[500] == 10);
        gal_cpu_forget(gal_cpu_backend(), plan);
    }
    CASE("barriers hold over many runs: calls of two lanes that use each other's parts give what one lane "
         "gives");
    for (int threads = 1; threads <= 4; threads++) {
        gal_threads(threads);
        for (int i = 0; i < 1000; i++)
            x[i] = (float)i;
        gal_cpu_stage calls[5] = {{plus_one, &p, 1 << 20},
                                  {backwards, &p, 1 << 20},
                                  {whole, &p, GAL_WHOLE},
                                  {backwards, &p, 1 << 20},
                                  {plus_one, &p, GAL_SERIAL}};
        void *plan = NULL, *without = NULL;
        IS_OK(gal_cpu_plan(&plan, calls, 5));
        IS_OK(gal_cpu_plan(&without, calls, 2));
        IS_OK(gal_cpu_replay(gal_cpu_backend(), plan, 100));
        IS_OK(gal_cpu_replay(gal_cpu_backend(), without, 1000));
        int right = 1;
        for (int i = 0; i < 1000; i++)
            right &= x[i] == (float)(i + 200 + 1000);
        IS_TRUE(right);
        gal_cpu_forget(gal_cpu_backend(), plan);
        gal_cpu_forget(gal_cpu_backend(), without);
    }
    CASE("an empty plan runs");
    void *plan = NULL;
    IS_OK(gal_cpu_plan(&plan, NULL, 0));
    IS_OK(gal_cpu_replay(gal_cpu_backend(), plan, 3));
    gal_cpu_forget(gal_cpu_backend(), plan);
    gal_tensor_free(interrupting);
}

/* Runs of so many seconds by all lanes and by one, for a while of pretended time; returns the share of runs
 * that one lane did. */
static double played(gal_balance *b, double *clock, double seconds, double all, double alone)
{
    double end = *clock + seconds;
    int64_t runs = 0, by_one = 0;
    while (*clock < end) {
        int one = gal_balance_lanes(b, 2) == 1;
        int64_t n = gal_balance_chunk(b, 1000000);
        double start = *clock;
        *clock += (double)n * (one ? alone : all);
        gal_balance_note(b, start, *clock, n);
        runs += n;
        by_one += one ? n : 0;
    }
    return (double)by_one / (double)runs;
}

static void balance(void)
{
    CASE("a plan stays on all lanes while they pay, leaves them when they don't, and comes back");
    gal_balance b = {0};
    double clock = 1000;
    IS_NEAR(played(&b, &clock, 20, 300e-6, 550e-6), 0, 0.02);
    played(&b, &clock, 0.5, 900e-6, 550e-6); /* the other core is taken */
    IS_NEAR(played(&b, &clock, 10, 900e-6, 550e-6), 1, 0.02);
    played(&b, &clock, 10, 300e-6, 550e-6); /* and free again: found by the next trial */
    IS_NEAR(played(&b, &clock, 10, 300e-6, 550e-6), 0, 0.02);
    CASE("slow runs are tried seldom");
    gal_balance slow = {0};
    IS_NEAR(played(&slow, &clock, 600, 1.0, 1.9), 0, 0.05);
}

int main(void)
{
    replays();
    failures();
    plans();
    balance();
    return finish();
}
