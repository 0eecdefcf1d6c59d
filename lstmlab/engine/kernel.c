/* A recurrence over rows of a batch, forward and backward.

What is particular to a cell stands before this text and is generated from its equations: the
numbers of GATES, STATES, VECTORS, FEEDS (gates that the recurrent product feeds) and SOURCES
(states that feed it), their tables, and the functions cell_forward and cell_backward.

Each thread carries its own rows of the batch through all steps, so that no step waits for
another thread. A step is a product of the rows with the packed recurrent matrix, panel by panel,
each panel as wide as a vector; what follows elementwise is done on a panel while it is in cache.
Input products are made for a few steps at a time, just before these steps, so that they are used
while they are in cache. Backward likewise makes the gradients of a few steps, and then adds what
these steps give to the gradients of the weights: nothing as long as the sequence is written that
is not kept for the backward pass.
*/

/* ---- vectors -------------------------------------------------------------------------------- */

#define LANES (VECTOR_BYTES / (int)sizeof(real))
typedef real V __attribute__((vector_size(VECTOR_BYTES)));
typedef integer I __attribute__((vector_size(VECTOR_BYTES)));
#define INLINE static inline __attribute__((always_inline))

INLINE V splat(real x) { return x - (V){}; }
INLINE V load(const real *p) { V v; memcpy(&v, p, sizeof v); return v; }
INLINE void store(real *p, V v) { memcpy(p, &v, sizeof v); }
#if VECTOR_BYTES == 64
#include <immintrin.h>
#if WIDTH == 4
#define OF(name) _mm512_##name##_ps
typedef __m512 native;
#else
#define OF(name) _mm512_##name##_pd
typedef __m512d native;
#endif
#endif

/* The first n lanes; the others are zero, or not written. */
INLINE V load_some(const real *p, int n) {
    if (n == LANES) return load(p);
#if VECTOR_BYTES == 64
    return (V)OF(maskz_loadu)((1u << n) - 1, p);
#else
    V v = {};
    memcpy(&v, p, (size_t)n * sizeof(real));
    return v;
#endif
}
INLINE void store_some(real *p, V v, int n) {
    if (n == LANES) { store(p, v); return; }
#if VECTOR_BYTES == 64
    OF(mask_storeu)(p, (1u << n) - 1, (native)v);
#else
    memcpy(p, &v, (size_t)n * sizeof(real));
#endif
}
/* Past the caches where that is possible: for what is not read again soon. */
INLINE void store_away(real *p, V v, int n) {
#if VECTOR_BYTES == 64
    if (n == LANES && (uintptr_t)p % VECTOR_BYTES == 0) { OF(stream)(p, (native)v); return; }
#endif
    store_some(p, v, n);
}
INLINE V pick(I mask, V yes, V no) { return (V)((mask & (I)yes) | (~mask & (I)no)); }
INLINE V magnitude(V x) { return (V)((I)x & ~(I)splat((real)-0.0)); }

/* minimum and maximum of x with a bound: a NaN in x stays. scale(p, n) is p 2^n, to infinity and to 0. */
#if VECTOR_BYTES == 64
INLINE V at_most(V x, real bound) { return (V)OF(min)((native)splat(bound), (native)x); }
INLINE V at_least(V x, real bound) { return (V)OF(max)((native)splat(bound), (native)x); }
INLINE V scale(V p, V n) { return (V)OF(scalef)((native)p, (native)n); }
#else
INLINE V at_most(V x, real bound) { return pick(x > bound, splat(bound), x); }
INLINE V at_least(V x, real bound) { return pick(x < bound, splat(bound), x); }
INLINE V power_of_two(I n) { return (V)((n + EXPONENT_BIAS) << MANTISSA_BITS); }
INLINE V scale(V p, V n) {
    I whole = __builtin_convertvector(n, I), half = whole >> 1;
    return p * power_of_two(half) * power_of_two(whole - half); /* in two steps: 2^n alone may not exist */
}
#endif

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. */
INLINE V reduce(V x, V *n) {
    V whole = x * splat(LOG2_E) + splat(ROUNDER);
    *n = whole - splat(ROUNDER);
    V r = x - *n * splat(LN2_HIGH);
    r = r - *n * splat(LN2_LOW);
    V p = splat(POLYNOMIAL[TERMS - 1]);
    for (int k = TERMS - 2; k >= 0; k--) p = p * r + splat(POLYNOMIAL[k]);
    return r + r * r * p;
}

INLINE V op_exp(V x) {
    V n, p = reduce(at_least(at_most(x, EXP_HIGH), EXP_LOW), &n) + (real)1;
    return scale(p, n);
}

INLINE V op_sigmoid(V x) { return (real)1 / ((real)1 + op_exp(-x)); }

INLINE V op_tanh(V x) {
    V n, q = reduce(at_most(magnitude(x), 20) * (real)-2, &n), power = scale(splat(1), n);
    V e = power * q + (power - (real)1); /* exp(-2|x|) - 1, exact near zero too */
    V t = -e / (e + (real)2);
    return (V)((I)t | ((I)x & (I)splat((real)-0.0)));
}

INLINE V op_log_sigmoid(V x) {
    V y = op_exp(-magnitude(x)), s = y / (y + (real)2), q = s * s;
    V p = splat((real)1 / (2 * ATANH_TERMS + 1));
    for (int k = ATANH_TERMS - 1; k >= 0; k--) p = p * q + splat((real)1 / (2 * k + 1));
    return at_most(x, 0) - (real)2 * s * p; /* log(1 + y) = 2 artanh(y / (2 + y)) */
}

INLINE V op_relu(V x) { return pick(x < (real)0, splat(0), x); }
INLINE V op_positive(V x) { return pick(x > (real)0, splat(1), splat(0)); }
INLINE V op_maximum(V a, V b) { return pick((a > b) | (a != a), a, b); }
INLINE V op_larger(V a, V b) { return pick(a > b, splat(1), pick(a == b, splat((real)0.5), splat(0))); }

CELL

/* ---- products ------------------------------------------------------------------------------- */

/* What products multiply. With bfloat16 an operand holds two neighbours along the sum. */
#if BFLOAT16
typedef uint32_t operand;
typedef I OPERANDS;
#define TOGETHER 2
INLINE V multiply_add(V sum, operand a, const operand *b) {
    I bits;
    memcpy(&bits, b, sizeof bits);
    return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)bits);
}
#else
typedef real operand;
typedef V OPERANDS;
#define TOGETHER 1
INLINE V multiply_add(V sum, operand a, const operand *b) { return sum + splat(a) * load(b); }
#endif
INLINE int64_t operands(int64_t n) { return (n + TOGETHER - 1) / TOGETHER; }

#if ROUND
/* Rounded to bfloat16, which is the upper half of a float: ties to even, NaN stays. */
INLINE I rounded(V x) {
    I bits = (I)x, nan = (I)(x != x);
    return (nan & (bits | 0x400000)) | (~nan & (bits + 0x7fff + ((bits >> 16) & 1)));
}
#endif
/* Lanes of a row of operands, beginning at element k. */
INLINE void put_lanes(operand *row, int64_t k, V x) {
#if BFLOAT16
    __m256bh half = _mm512_cvtneps_pbh((__m512)x);
    memcpy((uint16_t *)row + k, &half, sizeof half);
#elif ROUND
    store(row + k, (V)(rounded(x) & (int)0xffff0000));
#else
    store(row + k, x);
#endif
}
/* Element k of a row of operands. */
INLINE void put(operand *row, int64_t k, real x) {
#if BFLOAT16
    ((uint16_t *)row)[k] = (uint16_t)((uint32_t)rounded(splat(x))[0] >> 16);
#elif ROUND
    row[k] = ((V)(rounded(splat(x)) & (int)0xffff0000))[0];
#else
    row[k] = x;
#endif
}
/* Lane by lane the operands of two neighbours along the sum (of the first one only, without bfloat16). */
INLINE OPERANDS pair(V first, V second) {
    (void)second;
#if BFLOAT16
    return ((rounded(first) >> 16) & 0xffff) | (rounded(second) & (int)0xffff0000);
#elif ROUND
    return (V)(rounded(first) & (int)0xffff0000);
#else
    return first;
#endif
}

/* sums[m * pitch + n] += sum over k of a[m][k * stride] * b[k][n], n counting vectors */
INLINE void product(const int M, const int N, const operand *const *a, const int stride, const operand *b, int64_t count, V *sums, int pitch) {
    V c[MAX_SUMS];
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) c[m * N + n] = sums[m * pitch + n];
    for (int64_t k = 0; k < count; k++, b += N * LANES) {
        for (int n = 0; n < N; n++) __builtin_prefetch(b + (24 * N + n) * LANES); /* a large matrix is beyond L2 */
#pragma GCC unroll 16
        for (int m = 0; m < M; m++)
#pragma GCC unroll 16
            for (int n = 0; n < N; n++) c[m * N + n] = multiply_add(c[m * N + n], a[m][k * stride], b + n * LANES);
    }
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) sums[m * pitch + n] = c[m * N + n];
}

/* Not inlined where it is used, which would multiply the time to compile. */
#define APART static __attribute__((noinline, noclone))
APART void multiply(int rows, int columns, const operand *const *a, const operand *b, int64_t count, V *sums, int pitch) {
    switch (columns * 16 + rows) {
#define PRODUCT(M, N) case N * 16 + M: product(M, N, a, 1, b, count, sums, pitch); break;
        PRODUCTS
#undef PRODUCT
    }
}

/* The same with TALL rows that lie beside each other: a[k][m]. */
APART void multiply_tall(int columns, const operand *a, const operand *b, int64_t count, V *sums) {
    const operand *rows[TALL];
    for (int m = 0; m < TALL; m++) rows[m] = a + m;
    switch (columns) {
    case 1: product(TALL, 1, rows, TALL, b, count, sums, 1); break;
    case 2: product(TALL, 2, rows, TALL, b, count, sums, 2); break;
#if TILE > 2
    case 3: product(TALL, 3, rows, TALL, b, count, sums, 3); break;
#endif
    }
}

/* to[k][column] = from[k * k_stride + column * column_stride]; `to` is zero before. */
static void pack(operand *to, int width, const real *from, int64_t k_stride, int64_t column_stride, int64_t count, int64_t columns) {
    for (int64_t k0 = 0; k0 < count; k0 += 16)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t k = k0; k < count && k < k0 + 16; k++)
                put(to + k / TOGETHER * width + c, k % TOGETHER, from[k * k_stride + c * column_stride]);
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t vectors_of(int64_t n) { return (n + LANES - 1) / LANES; }
static int64_t padded(int64_t n) { return vectors_of(n) * LANES; }

/* Panels of the backward products are two vectors wide; the last takes one more rather than leave it alone. */
static int64_t panels_of(int64_t n) { return vectors_of(n) < 4 ? 1 : vectors_of(n) / 2; }
static int panel_width(int64_t n, int64_t panel) { return panel < panels_of(n) - 1 ? 2 : (int)(vectors_of(n) - 2 * panel); }
static int rows_at_once(int width) { return width == 3 ? ROWS_OF_3 : width == 2 ? ROWS_OF_2 : ROWS_OF_1; }

/* Working memory, taken from what earlier calls gave back: fresh pages cost more than what is done on them. */
#define SPARE 64
#define SPARE_BYTES ((size_t)64 << 20)
static char *spare[SPARE];
static size_t spare_size[SPARE], spare_bytes;
static char spare_lock;
static void lock(void) { while (__atomic_test_and_set(&spare_lock, __ATOMIC_ACQUIRE)) {} }
static void unlock(void) { __atomic_clear(&spare_lock, __ATOMIC_RELEASE); }

static void *allocate(int64_t count, size_t size) {
    size_t wanted = (((size_t)(count > 0 ? count : 1) * size + 63) & ~(size_t)63) + 64;
    char *found = 0;
    lock();
    for (int i = 0; i < SPARE && !found; i++)
        if (spare[i] && spare_size[i] >= wanted && spare_size[i] / 2 <= wanted) {
            found = spare[i];
            spare[i] = 0;
            spare_bytes -= wanted = spare_size[i];
        }
    unlock();
    if (!found) found = aligned_alloc(64, wanted);
    if (!found) return 0;
    *(size_t *)found = wanted;
    return found + 64;
}

static void release(void *memory) {
    if (!memory) return;
    char *given = (char *)memory - 64;
    size_t size = *(size_t *)given;
    lock();
    for (int i = 0; i < SPARE && given && spare_bytes + size <= SPARE_BYTES; i++)
        if (!spare[i]) {
            spare[i] = given;
            spare_size[i] = size;
            spare_bytes += size;
            given = 0;
        }
    unlock();
    free(given);
}

/* ---- the job -------------------------------------------------------------------------------- */

typedef struct Job Job;
struct Job {
    int64_t steps, batch, features, hidden, threads, reverse, keep;
    const real *x;            /* (steps, batch, features) */
    const real *weight_ih;    /* (INPUTS * hidden, features) */
    const real *weight_hh;    /* (FEEDS * hidden, SOURCES * hidden) */
    const real *bias;         /* (GATES * hidden) */
    const real *vectors;      /* (VECTORS, hidden) */
    const real *initial;      /* (STATES, batch, hidden) */
    const real *starts;       /* the same: what a reset returns to */
    const int64_t *lengths;   /* (batch), or none */
    const uint8_t *resets;    /* (steps, batch), or none */
    const real *drop;         /* (batch, hidden), or none: multiplies state 0 where it feeds back */
    const real *zones;        /* (STATES, steps, batch, hidden), or none: share of the old state */
    const real *zone;         /* (STATES), or none: the same share everywhere */
    real *kept;               /* (steps, batch, GATES * hidden), or none if not `keep` */
    real *output;             /* (steps, batch, hidden): state 0 after each step */
    real *others;             /* (STATES - 1, steps, batch, hidden); two steps if not `keep` */
    real *finals;             /* (STATES, batch, hidden) */
    const real *grad_output;  /* backward: as output */
    const real *grad_finals;  /* as finals */
    real *grad_x;             /* as x, or none */
    real *grad_ih;            /* as weight_ih, zero before */
    real *grad_hh;            /* as weight_hh, zero before */
    real *grad_initial;       /* as initial */
    real *grad_starts;        /* as starts, zero before */
    real *grad_units;         /* (threads, GATES + VECTORS, hidden), zero before: of biases and vectors */
    /* of one call */
    operand *packed_ih, *packed_hh;
    operand *tall, *wide;     /* gradients of gates, and what the gates saw, packed for the weights' gradients */
    real *gradients;          /* (span + 1, batch, GATES * hidden): a ring of the last steps */
    real *carry;              /* (STATES, batch, hidden): gradients of the states before the step just done */
    int64_t span;             /* steps of a block */
    int64_t high, low;        /* the block's last and first step */
    void (*work)(Job *, int64_t);
    int64_t items, next, failed;
};

typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);

static int64_t time_at(const Job *j, int64_t step) { return j->reverse ? j->steps - 1 - step : step; }
static int64_t line_at(const Job *j, int64_t step, int64_t b) { return time_at(j, step) * j->batch + b; }

/* Row b of a state after a step, or before the first one. */
static real *state_row(const Job *j, int s, int64_t step, int64_t b) {
    int64_t B = j->batch, H = j->hidden;
    if (step < 0) return (real *)j->initial + (s * B + b) * H;
    if (s == 0) return j->output + line_at(j, step, b) * H;
    int64_t stored = j->keep ? j->steps : 2, at = j->keep ? time_at(j, step) : step & 1;
    return j->others + (((s - 1) * stored + at) * B + b) * H;
}

/* Row b of a state as the equations of a step see it. */
static const real *previous_row(const Job *j, int s, int64_t step, int64_t b) {
    if (j->resets && j->resets[line_at(j, step, b)]) return j->starts + (s * j->batch + b) * j->hidden;
    return state_row(j, s, step - 1, b);
}

static int64_t first_row(const Job *j, int64_t share) { return share * j->batch / j->threads; }

static int is_alive(const Job *j, int64_t step, int64_t b) { return !j->lengths || time_at(j, step) < j->lengths[b]; }

INLINE V zone_of(const Job *j, int s, int64_t line, int64_t unit, int n) {
    return j->zone ? splat(j->zone[s]) : load_some(j->zones + (s * j->steps * j->batch + line) * j->hidden + unit, n);
}

/* Rows as products take them: in place where that is possible, else copied. */
typedef struct { const operand **rows; operand *copies; int64_t room; } Fed;

static int open_fed(Fed *f, int64_t rows, int64_t length, int copied) {
    f->room = operands(padded(length));
    f->rows = allocate(rows, sizeof *f->rows);
    f->copies = allocate(copied ? rows * f->room : 0, sizeof *f->copies);
    if (f->copies && copied) memset(f->copies, 0, (size_t)(rows * f->room) * sizeof *f->copies);
    return f->rows && f->copies;
}
static void close_fed(Fed *f) { release(f->rows); release(f->copies); }
static void feed(Fed *f, int64_t i, const real *row, const real *drop, int64_t length) {
#if !ROUND
    if (!drop) { f->rows[i] = row; return; }
#endif
    operand *copy = f->copies + i * f->room;
    for (int64_t k = 0; k < length; k += LANES) {
        int n = (int)smaller(LANES, length - k);
        V x = load_some(row + k, n);
        put_lanes(copy, k, drop ? x * load_some(drop + k, n) : x);
    }
    f->rows[i] = copy;
}
static const real *drop_of(const Job *j, int state, int64_t b) { return state == 0 && j->drop ? j->drop + b * j->hidden : 0; }

/* ---- forward -------------------------------------------------------------------------------- */

/* Packed: [panel of units][source][group of gates][k][gate][lane], the input likewise without source. */
static void pack_forward(Job *j, int64_t panel) {
    int64_t H = j->hidden, unit = panel * LANES, lanes = smaller(LANES, H - unit);
    operand *to = j->packed_ih + panel * INPUTS * operands(j->features) * LANES;
    memset(to, 0, (size_t)(INPUTS * operands(j->features) * LANES) * sizeof *to);
    for (int q = 0, gate = 0; gate < INPUTS; gate += INPUT_GROUPS[q++], to += INPUT_GROUPS[q - 1] * operands(j->features) * LANES)
        for (int g = 0; g < INPUT_GROUPS[q]; g++)
            pack(to + g * LANES, INPUT_GROUPS[q] * LANES, j->weight_ih + ((gate + g) * H + unit) * j->features, 1, j->features, j->features, lanes);
    to = j->packed_hh + panel * SOURCES * FEEDS * operands(H) * LANES;
    memset(to, 0, (size_t)(SOURCES * FEEDS * operands(H) * LANES) * sizeof *to);
    for (int s = 0; s < SOURCES; s++)
        for (int q = 0, gate = 0; gate < FEEDS; gate += FEED_GROUPS[q++], to += FEED_GROUPS[q - 1] * operands(H) * LANES)
            for (int g = 0; g < FEED_GROUPS[q]; g++)
                pack(to + g * LANES, FEED_GROUPS[q] * LANES, j->weight_hh + (((gate + g) * H + unit) * SOURCES + s) * H, 1, SOURCES * H, H, lanes);
}

typedef struct { real *gates, *kept; const real *old[STATES]; real *new[STATES]; int64_t line; int alive; } Row;

INLINE void forward_unit(const Job *j, const Row *row, int64_t unit, const int n, const V *fed) {
    int64_t H = j->hidden;
    V gates[GATES], old[STATES], vectors[VECTORS + 1], kept[GATES], new[STATES];
    for (int s = 0; s < STATES; s++) old[s] = load_some(row->old[s] + unit, n);
    for (int g = 0; g < GATES; g++) gates[g] = FEED_OF[g] < 0 ? load_some(row->gates + g * H + unit, n) : fed[FEED_OF[g]];
    for (int v = 0; v < VECTORS; v++) vectors[v] = load_some(j->vectors + v * H + unit, n);
    cell_forward(gates, old, vectors, kept, new);
    if (j->zone || j->zones)
        for (int s = 0; s < STATES; s++) {
            V zone = zone_of(j, s, row->line, unit, n);
            new[s] = zone * old[s] + ((real)1 - zone) * new[s]; /* a state that is kept stays the same to the last bit */
        }
    if (j->keep)
        for (int g = 0; g < GATES; g++) store_away(row->kept + g * H + unit, kept[g], n);
    for (int s = 0; s < STATES; s++) store_some(row->new[s] + unit, new[s], n);
}

APART void forward_units(const Job *j, const Row *rows, int count, int64_t unit, const V *fed) {
    int n = (int)smaller(LANES, j->hidden - unit);
    for (int m = 0; m < count; m++, rows++, fed += FEEDS) {
        if (!rows->alive)
            for (int s = 0; s < STATES; s++) store_some(rows->new[s] + unit, load_some(rows->old[s] + unit, n), n);
        else if (n == LANES) forward_unit(j, rows, unit, LANES, fed);
        else forward_unit(j, rows, unit, n, fed);
    }
}

/* gates = bias + W x for some lines, gate by gate where the equations of a step will look for them. */
static void input_products(const Job *j, const Row *rows, const Fed *x, int64_t lines) {
    int64_t H = j->hidden, blocks = (lines + INPUT_ROWS - 1) / INPUT_ROWS;
    for (int g = 0; g < GATES; g++)
        if (INPUT_OF[g] < 0)
            for (int64_t i = 0; i < lines; i++) memcpy(rows[i].gates + g * H, j->bias + g * H, (size_t)H * sizeof(real));
    for (int64_t panel = 0; panel < vectors_of(H); panel++) {
        int64_t unit = panel * LANES;
        int n = (int)smaller(LANES, H - unit);
        for (int64_t i = 0; i < blocks; i++) {
            int64_t from = i * lines / blocks;
            int size = (int)((i + 1) * lines / blocks - from);
            const operand *b = j->packed_ih + panel * INPUTS * operands(j->features) * LANES;
            for (int q = 0, gate = 0; gate < INPUTS; gate += INPUT_GROUPS[q++]) {
                int columns = INPUT_GROUPS[q];
                V sums[MAX_SUMS];
                for (int g = 0; g < columns; g++) {
                    V bias = load_some(j->bias + INPUT_GATE[gate + g] * H + unit, n);
                    for (int m = 0; m < size; m++) sums[m * columns + g] = bias;
                }
                multiply(size, columns, x->rows + from, b, operands(j->features), sums, columns);
                b += columns * operands(j->features) * LANES;
                for (int m = 0; m < size; m++)
                    for (int g = 0; g < columns; g++)
                        store_some(rows[from + m].gates + INPUT_GATE[gate + g] * H + unit, sums[m * columns + g], n);
            }
        }
    }
}

static void one_step(const Job *j, const Row *rows, const Fed *fed, int64_t count) {
    int64_t H = j->hidden, blocks = (count + FEED_ROWS - 1) / FEED_ROWS;
    for (int64_t panel = 0; panel < vectors_of(H); panel++) {
        int64_t unit = panel * LANES;
        int n = (int)smaller(LANES, H - unit);
        for (int64_t i = 0; i < blocks; i++) {
            int64_t from = i * count / blocks;
            int size = (int)((i + 1) * count / blocks - from);
            V sums[FEED_ROWS * FEEDS + 1];
#if FEEDS
            for (int m = 0; m < size; m++)
                for (int f = 0; f < FEEDS; f++) sums[m * FEEDS + f] = load_some(rows[from + m].gates + FED[f] * H + unit, n);
            const operand *b = j->packed_hh + panel * SOURCES * FEEDS * operands(H) * LANES;
            for (int s = 0; s < SOURCES; s++)
                for (int q = 0, f = 0; f < FEEDS; b += FEED_GROUPS[q] * operands(H) * LANES, f += FEED_GROUPS[q++])
                    multiply(size, FEED_GROUPS[q], fed->rows + s * count + from, b, operands(H), sums + f, FEEDS);
#endif
            (void)n;
            forward_units(j, rows + from, size, unit, sums);
        }
    }
    (void)fed;
}

static void forward_share(Job *j, int64_t share) {
    int64_t H = j->hidden, first = first_row(j, share), count = first_row(j, share + 1) - first;
    int64_t span = smaller(j->steps, count < FORWARD_LINES ? FORWARD_LINES / count : 1);
    Row *rows = allocate(span * count, sizeof *rows);
    real *gates = allocate(span * count * GATES * H, sizeof *gates);
    Fed x, fed;
    int opened = open_fed(&x, span * count, j->features, ROUND) & open_fed(&fed, SOURCES * count, H, ROUND || j->drop);
    if (!rows || !gates || !opened) { j->failed = 1; goto done; }
    for (int64_t begin = 0; begin < j->steps; begin += span) {
        int64_t end = smaller(begin + span, j->steps);
        for (int64_t step = begin; step < end; step++)
            for (int64_t r = 0; r < count; r++) {
                int64_t i = (step - begin) * count + r, b = first + r, line = line_at(j, step, b);
                rows[i].gates = gates + i * GATES * H;
                rows[i].kept = j->kept + line * GATES * H;
                rows[i].line = line;
                rows[i].alive = is_alive(j, step, b);
                for (int s = 0; s < STATES; s++) {
                    rows[i].old[s] = previous_row(j, s, step, b);
                    rows[i].new[s] = state_row(j, s, step, b);
                }
                feed(&x, i, j->x + line * j->features, 0, j->features);
            }
        input_products(j, rows, &x, (end - begin) * count);
        for (int64_t step = begin; step < end; step++) {
            const Row *now = rows + (step - begin) * count;
            for (int s = 0; s < SOURCES; s++)
                for (int64_t r = 0; r < count; r++)
                    feed(&fed, s * count + r, now[r].old[SOURCE[s]], drop_of(j, SOURCE[s], first + r), H);
            one_step(j, now, &fed, count);
        }
    }
    for (int s = 0; s < STATES; s++)
        for (int64_t b = first; b < first + count; b++)
            memcpy(j->finals + (s * j->batch + b) * H, state_row(j, s, j->steps - 1, b), (size_t)H * sizeof(real));
done:
    release(rows);
    release(gates);
    close_fed(&x);
    close_fed(&fed);
}

/* ---- backward ------------------------------------------------------------------------------- */

/* Gates that lie side by side are summed over in one go: runs of {first gate, how many}, the last one empty. */
static int64_t terms(const Job *j, const int *runs) {
    int64_t n = 0;
    for (; runs[1]; runs += 2) n += operands(runs[1] * j->hidden);
    return n;
}

/* Packed: [panel of units][source][run of gates][k][vector][lane], and likewise [panel of features]... */
static void pack_backward(Job *j, int64_t item) {
    int64_t H = j->hidden, I = j->features;
    int of_input = item >= panels_of(H);
    int64_t panel = of_input ? item - panels_of(H) : item, length = of_input ? I : H, unit = panel * 2 * LANES;
    int width = panel_width(length, panel) * LANES, sources = of_input ? 1 : SOURCES;
    int64_t summed = of_input ? terms(j, INPUT_RUNS) : terms(j, FEED_RUNS);
    operand *to = (of_input ? j->packed_ih : j->packed_hh) + unit * sources * summed;
    memset(to, 0, (size_t)(width * sources * summed) * sizeof *to);
    for (int s = 0; s < sources; s++) {
        const real *from = of_input ? j->weight_ih + unit : j->weight_hh + s * H + unit;
        int64_t stride = sources * length;
        for (const int *run = of_input ? INPUT_RUNS : FEED_RUNS; run[1]; to += operands(run[1] * H) * width, from += run[1] * H * stride, run += 2)
            pack(to, width, from, stride, 1, run[1] * H, smaller(width, length - unit));
    }
}

/* The gradients of a step's pre-activations. */
static real *gradient_row(const Job *j, int64_t step, int64_t b) {
    return j->gradients + (step % (j->span + 1) * j->batch + b) * GATES * j->hidden;
}

typedef struct {
    const real *kept, *grad_output, *old[STATES], *drop;
    int64_t ahead; /* where the same row of the step before lies, in lines from this one */
    real *carry, *gradients, *units;
    int64_t line, b;
    int alive, restarted; /* the row counts at this step; the step after it began anew */
} Back;

INLINE void backward_unit(const Job *j, const Back *row, int64_t unit, const int n, const V *fed, const int stride, int64_t step) {
    int64_t B = j->batch, H = j->hidden;
    V arriving[STATES], past[STATES], old[STATES], vectors[VECTORS + 1], kept[GATES], gates[GATES], before[STATES], units[VECTORS + 1];
    for (int s = 0; s < STATES; s++) arriving[s] = load_some(row->carry + s * B * H + unit, n);
    for (int s = 0; s < SOURCES; s++)
        arriving[SOURCE[s]] += SOURCE[s] == 0 && row->drop ? fed[s * stride] * load_some(row->drop + unit, n) : fed[s * stride];
    if (row->restarted)
        for (int s = 0; s < STATES; s++) {
            real *to = j->grad_starts + (s * B + row->b) * H + unit;
            store_some(to, load_some(to, n) + arriving[s], n);
            arriving[s] = splat(0);
        }
    if (step < 0) {
        for (int s = 0; s < STATES; s++) store_some(j->grad_initial + (s * B + row->b) * H + unit, arriving[s], n);
        return;
    }
    arriving[0] += load_some(row->grad_output + unit, n);
    for (int g = 0; g < GATES; g++) gates[g] = splat(0);
    for (int s = 0; s < STATES; s++) before[s] = arriving[s];
    if (row->alive) {
        for (int g = 0; g < GATES; g++) kept[g] = load_some(row->kept + g * H + unit, n);
        for (int g = 0; g < GATES; g++) __builtin_prefetch(row->kept + (row->ahead * GATES + g) * H + unit);
        __builtin_prefetch(row->grad_output + row->ahead * H + unit);
        for (int s = 0; s < STATES; s++) old[s] = load_some(row->old[s] + unit, n);
        for (int s = 0; s < STATES; s++) __builtin_prefetch(row->old[s] + row->ahead * H + unit);
        for (int v = 0; v < VECTORS; v++) vectors[v] = load_some(j->vectors + v * H + unit, n);
        for (int s = 0; s < STATES; s++) past[s] = splat(0);
        if (j->zone || j->zones)
            for (int s = 0; s < STATES; s++) {
                past[s] = zone_of(j, s, row->line, unit, n) * arriving[s];
                arriving[s] -= past[s];
            }
        cell_backward(kept, old, vectors, arriving, gates, before, units);
        for (int s = 0; s < STATES; s++) before[s] += past[s];
        for (int i = 0; i < GATES + VECTORS; i++) {
            real *to = row->units + i * H + unit;
            store_some(to, load_some(to, n) + (i < GATES ? gates[i] : units[i - GATES]), n);
        }
    }
    for (int g = 0; g < GATES; g++) store_some(row->gradients + g * H + unit, gates[g], n);
    for (int s = 0; s < STATES; s++) store_some(row->carry + s * B * H + unit, before[s], n);
}

APART void backward_units(const Job *j, const Back *rows, int count, int64_t unit, int width, const V *fed, int64_t step) {
    for (int m = 0; m < count; m++)
        for (int v = 0; v < width; v++) {
            int64_t at = unit + v * LANES;
            const V *own = fed + m * width + v;
            if (at + LANES <= j->hidden) backward_unit(j, rows + m, at, LANES, own, count * width, step);
            else backward_unit(j, rows + m, at, (int)(j->hidden - at), own, count * width, step);
        }
}

static int count_runs(const int *runs) {
    int n = 0;
    for (; runs[1]; runs += 2) n++;
    return n;
}
/* A step's gradients of pre-activations as products take them, for each run of gates. */
static void feed_runs(const Job *j, Fed *fed, const int *runs, int64_t step, int64_t first, int64_t count) {
    for (int i = 0; runs[1]; runs += 2, i++)
        for (int64_t r = 0; r < count; r++)
            feed(fed, i * count + r, gradient_row(j, step, first + r) + runs[0] * j->hidden, 0, runs[1] * j->hidden);
}

/* One step back for some rows; `fed` are the gradients of the step after it. */
static void one_step_back(const Job *j, const Back *rows, const Fed *fed, int64_t count, int64_t step) {
    int64_t H = j->hidden;
    for (int64_t panel = 0; panel < panels_of(H); panel++) {
        int width = panel_width(H, panel);
        int64_t unit = panel * 2 * LANES, blocks = (count + rows_at_once(width) - 1) / rows_at_once(width);
        for (int64_t i = 0; i < blocks; i++) {
            int64_t from = i * count / blocks;
            int size = (int)((i + 1) * count / blocks - from);
            V sums[SOURCES * MAX_SUMS + 1];
            memset(sums, 0, sizeof sums);
#if FEEDS
            if (step < j->steps - 1) {
                const operand *b = j->packed_hh + unit * SOURCES * terms(j, FEED_RUNS);
                for (int s = 0; s < SOURCES; s++)
                    for (const int *run = FEED_RUNS; run[1]; b += operands(run[1] * H) * width * LANES, run += 2)
                        multiply(size, width, fed->rows + (run - FEED_RUNS) / 2 * count + from, b, operands(run[1] * H), sums + s * size * width, width);
            }
#endif
            (void)fed;
            backward_units(j, rows + from, size, unit, width, sums, step);
        }
    }
}

/* grad_x of one step. */
static void input_gradients(const Job *j, const Fed *fed, int64_t first, int64_t count, int64_t step) {
    int64_t H = j->hidden, I = j->features;
    for (int64_t panel = 0; panel < panels_of(I); panel++) {
        int width = panel_width(I, panel);
        int64_t unit = panel * 2 * LANES, blocks = (count + rows_at_once(width) - 1) / rows_at_once(width);
        for (int64_t i = 0; i < blocks; i++) {
            int64_t from = i * count / blocks;
            int size = (int)((i + 1) * count / blocks - from);
            V sums[MAX_SUMS];
            memset(sums, 0, sizeof sums);
            const operand *b = j->packed_ih + unit * terms(j, INPUT_RUNS);
            for (const int *run = INPUT_RUNS; run[1]; b += operands(run[1] * H) * width * LANES, run += 2)
                multiply(size, width, fed->rows + (run - INPUT_RUNS) / 2 * count + from, b, operands(run[1] * H), sums, width);
            for (int m = 0; m < size; m++)
                for (int v = 0; v < width; v++) {
                    int64_t at = unit + v * LANES;
                    store_some(j->grad_x + line_at(j, step, first + from + m) * I + at, sums[m * width + v], (int)smaller(LANES, I - at));
                }
        }
    }
}

/* Where the lines of a share begin among those of a block, in operands: shares never meet in one. */
static int64_t place(const Job *j, int64_t first, int64_t share) { return operands(first * j->span) + share; }
static int64_t capacity(const Job *j) { return place(j, j->batch, j->threads); }

/* Tiles of the weights' gradients are up to TILE vectors wide, and as even as can be. */
static int64_t tile_begin(int64_t n, int64_t tile) {
    int64_t vectors = vectors_of(n), tiles = (vectors + TILE - 1) / TILE;
    return (tile * vectors + tiles - 1) / tiles; /* tile * vectors / tiles, rounded up */
}

INLINE void put_tile(const Job *j, operand *to, int64_t length, int64_t unit, int64_t k, OPERANDS values) {
    int64_t v = unit / LANES, tile = v * ((vectors_of(length) + TILE - 1) / TILE) / vectors_of(length);
    int64_t begin = tile_begin(length, tile), width = tile_begin(length, tile + 1) - begin;
    memcpy(to + (begin * capacity(j) + k * width + v - begin) * LANES, &values, sizeof values);
}

static V load_line(const real *row, const real *drop, int64_t unit, int n) {
    V x = load_some(row + unit, n);
    return drop ? x * load_some(drop + unit, n) : x;
}

/* Pack what the gradients of weights are products of: for one or two lines (TOGETHER) of a share. */
static void pack_lines(const Job *j, int64_t k, const int64_t *steps, const int64_t *bs, int count) {
    int64_t H = j->hidden, I = j->features, K = capacity(j);
    V none = splat(0);
    for (int g = 0; g < GATES; g++)
        for (int64_t unit = 0; unit < H; unit += LANES) {
            int n = (int)smaller(LANES, H - unit);
            V one = load_some(gradient_row(j, steps[0], bs[0]) + g * H + unit, n);
            V two = count > 1 ? load_some(gradient_row(j, steps[1], bs[1]) + g * H + unit, n) : none;
            OPERANDS made = pair(one, two);
            int64_t at = g * padded(H) + unit;
            for (int l = 0; l < LANES; l += SHORTER)
                memcpy(j->tall + ((at + l) / TALL * K + k) * TALL + (at + l) % TALL, (operand *)&made + l, SHORTER * sizeof(operand));
        }
    for (int64_t unit = 0; unit < I; unit += LANES) {
        int n = (int)smaller(LANES, I - unit);
        V one = load_some(j->x + line_at(j, steps[0], bs[0]) * I + unit, n);
        V two = count > 1 ? load_some(j->x + line_at(j, steps[1], bs[1]) * I + unit, n) : none;
        put_tile(j, j->wide, I, unit, k, pair(one, two));
    }
    for (int s = 0; s < SOURCES; s++) {
        operand *to = j->wide + (padded(I) + s * padded(H)) * K;
        const real *row[2], *drop[2];
        for (int i = 0; i < count; i++) {
            row[i] = previous_row(j, SOURCE[s], steps[i], bs[i]);
            drop[i] = drop_of(j, SOURCE[s], bs[i]);
        }
        for (int64_t unit = 0; unit < H; unit += LANES) {
            int n = (int)smaller(LANES, H - unit);
            V one = load_line(row[0], drop[0], unit, n), two = count > 1 ? load_line(row[1], drop[1], unit, n) : none;
            put_tile(j, to, H, unit, k, pair(one, two));
        }
    }
}

/* A shorter block leaves places that still hold lines of the block before. */
static void clear_lines(const Job *j, int64_t from, int64_t to) {
    for (int64_t panel = 0; panel < GATES * padded(j->hidden) / TALL; panel++)
        memset(j->tall + (panel * capacity(j) + from) * TALL, 0, (size_t)((to - from) * TALL) * sizeof(operand));
}

static void backward_share(Job *j, int64_t share) {
    int64_t H = j->hidden, first = first_row(j, share), count = first_row(j, share + 1) - first;
    Back *rows = allocate(count, sizeof *rows);
    Fed fed, of_input;
    int opened = open_fed(&fed, count_runs(FEED_RUNS) * count, GATES * H, ROUND)
        & open_fed(&of_input, count_runs(INPUT_RUNS) * count, GATES * H, ROUND && j->grad_x);
    if (!rows || !opened) { j->failed = 1; goto done; }
    int64_t lines[2], bs[2], k = place(j, first, share), waiting = 0;
    for (int64_t step = j->high; step >= j->low - (j->low == 0); step--) {
        for (int64_t r = 0; r < count; r++) {
            int64_t b = first + r, line = step < 0 ? 0 : line_at(j, step, b);
            Back *row = rows + r;
            *row = (Back){.carry = j->carry + b * H, .units = j->grad_units + share * (GATES + VECTORS) * H, .b = b, .line = line};
            row->drop = drop_of(j, 0, b);
            row->restarted = j->resets && step < j->steps - 1 && j->resets[line_at(j, step + 1, b)];
            if (step < 0) continue;
            row->alive = is_alive(j, step, b);
            row->ahead = j->reverse ? j->batch : -j->batch;
            row->kept = j->kept + line * GATES * H;
            row->grad_output = j->grad_output + line * H;
            row->gradients = gradient_row(j, step, b);
            for (int s = 0; s < STATES; s++) row->old[s] = previous_row(j, s, step, b);
        }
        if (step < j->steps - 1) feed_runs(j, &fed, FEED_RUNS, step + 1, first, count);
        one_step_back(j, rows, &fed, count, step);
        if (step < 0) break;
        if (j->grad_x) {
            feed_runs(j, &of_input, INPUT_RUNS, step, first, count);
            input_gradients(j, &of_input, first, count, step);
        }
        for (int64_t r = 0; r < count; r++) {
            lines[waiting] = step;
            bs[waiting++] = first + r;
            if (waiting == TOGETHER) { pack_lines(j, k++, lines, bs, TOGETHER); waiting = 0; }
        }
    }
    if (waiting) pack_lines(j, k, lines, bs, (int)waiting);
    if (j->high - j->low + 1 < j->span) clear_lines(j, k + (waiting > 0), place(j, first + count, share + 1));
done:
    release(rows);
    close_fed(&fed);
    close_fed(&of_input);
}

/* Add a block's part to some rows of a weight's gradient: rows (TALL) by columns. */
static void add_product(const operand *tall, const operand *wide, int64_t K, real *to, int64_t row_stride, int rows, int64_t columns) {
    for (int64_t tile = 0; tile_begin(columns, tile) < vectors_of(columns); tile++) {
        int64_t at = tile_begin(columns, tile) * LANES;
        int width = (int)(tile_begin(columns, tile + 1) - at / LANES);
        V sums[TALL * TILE];
        for (int m = 0; m < TALL; m++)
            for (int v = 0; v < width; v++) {
                int64_t c = at + v * LANES;
                sums[m * width + v] = m < rows ? load_some(to + m * row_stride + c, (int)smaller(LANES, columns - c)) : splat(0);
            }
        multiply_tall(width, tall, wide + at * K, K, sums);
        for (int m = 0; m < rows; m++)
            for (int v = 0; v < width; v++) {
                int64_t c = at + v * LANES;
                store_some(to + m * row_stride + c, sums[m * width + v], (int)smaller(LANES, columns - c));
            }
    }
}

static void weight_gradients_of(Job *j, int64_t panel) {
    int64_t H = j->hidden, I = j->features, K = capacity(j), at = panel * TALL, gate = at / padded(H), unit = at % padded(H);
    int rows = (int)smaller(TALL, H - unit);
    if (gate >= GATES || rows <= 0) return;
    const operand *tall = j->tall + panel * K * TALL;
    if (INPUT_OF[gate] >= 0) add_product(tall, j->wide, K, j->grad_ih + (INPUT_OF[gate] * H + unit) * I, I, rows, I);
    if (FEED_OF[gate] >= 0)
        for (int s = 0; s < SOURCES; s++) {
            real *to = j->grad_hh + ((FEED_OF[gate] * H + unit) * SOURCES + s) * H;
            add_product(tall, j->wide + (padded(I) + s * padded(H)) * K, K, to, SOURCES * H, rows, H);
        }
}

static void weight_gradients(Job *j, int64_t item) {
    for (int i = 0; i < PANELS_AT_ONCE; i++) weight_gradients_of(j, item * PANELS_AT_ONCE + i);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void member(void *job) {
    Job *j = job;
    for (int64_t i; (i = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED)) < j->items;) j->work(j, i);
}
static void *own_member(void *job) { member(job); return 0; }

/* Do numbered items of work on `threads` threads: those of `team` (OpenMP's GOMP_parallel) if given, else our own. */
static void together(Job *j, void (*work)(Job *, int64_t), int64_t items, Team team) {
    j->work = work;
    j->items = items;
    j->next = 0;
    if (j->threads == 1) {
        member(j);
    } else if (team) {
        team(member, j, (unsigned)j->threads, 0);
    } else {
        pthread_t others[MAX_THREADS];
        int64_t started = 0;
        while (started < smaller(j->threads - 1, MAX_THREADS) && !pthread_create(&others[started], 0, own_member, j)) started++;
        member(j);
        while (started--) pthread_join(others[started], 0);
    }
}

int64_t forward(Job *j, Team team) {
    int64_t H = j->hidden;
    j->packed_ih = allocate(padded(H) * INPUTS * operands(j->features), sizeof(operand));
    j->packed_hh = allocate(padded(H) * SOURCES * FEEDS * operands(H), sizeof(operand));
    if (!j->packed_ih || !j->packed_hh) j->failed = 1;
    if (!j->failed) together(j, pack_forward, vectors_of(H), team);
    if (!j->failed) together(j, forward_share, j->threads, team);
    release(j->packed_ih);
    release(j->packed_hh);
    return j->failed;
}

int64_t backward(Job *j, Team team) {
    int64_t H = j->hidden, B = j->batch;
    j->span = smaller(j->steps, B < BACK_LINES ? BACK_LINES / B : 1);
    int64_t K = capacity(j), tall = padded(H) * GATES * K, wide = (padded(j->features) + SOURCES * padded(H)) * K;
    j->packed_ih = allocate(padded(j->features) * terms(j, INPUT_RUNS), sizeof(operand));
    j->packed_hh = allocate(padded(H) * SOURCES * terms(j, FEED_RUNS), sizeof(operand));
    j->tall = allocate(tall, sizeof(operand));
    j->wide = allocate(wide, sizeof(operand));
    j->gradients = allocate((j->span + 1) * B * GATES * H, sizeof(real));
    j->carry = allocate(STATES * B * H, sizeof(real));
    if (!j->packed_ih || !j->packed_hh || !j->tall || !j->wide || !j->gradients || !j->carry) j->failed = 1;
    if (!j->failed) {
        memset(j->tall, 0, (size_t)tall * sizeof(operand));
        memset(j->wide, 0, (size_t)wide * sizeof(operand));
        memcpy(j->carry, j->grad_finals, (size_t)(STATES * B * H) * sizeof(real));
        together(j, pack_backward, panels_of(H) + (j->grad_x ? panels_of(j->features) : 0), team);
    }
    for (j->high = j->steps - 1; j->high >= 0 && !j->failed; j->high -= j->span) {
        j->low = j->high - j->span + 1 > 0 ? j->high - j->span + 1 : 0;
        together(j, backward_share, j->threads, team);
        if (!j->failed) together(j, weight_gradients, padded(H) * GATES / TALL / PANELS_AT_ONCE + 1, team);
    }
    release(j->packed_ih);
    release(j->packed_hh);
    release(j->tall);
    release(j->wide);
    release(j->gradients);
    release(j->carry);
    return j->failed;
}

/* One function on an array, for tests: 0 exp, 1 sigmoid, 2 tanh, 3 log sigmoid. */
void elementwise(int64_t which, int64_t count, const real *from, real *to) {
    for (int64_t i = 0; i < count; i += LANES) {
        int n = (int)smaller(LANES, count - i);
        V x = load_some(from + i, n);
        V y = which == 0 ? op_exp(x) : which == 1 ? op_sigmoid(x) : which == 2 ? op_tanh(x) : op_log_sigmoid(x);
        store_some(to + i, y, n);
    }
}
