/* What one call is about, and where its rows lie. */

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
