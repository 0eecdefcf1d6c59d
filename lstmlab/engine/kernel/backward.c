/* One step back, for some rows. */

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
    if (unit + width > length || TOGETHER > 1) memset(to, 0, (size_t)(width * sources * summed) * sizeof *to);
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

/* grad_x of a block's rows, some lines at a time: the matrix is read once for all of them. */
static void input_gradients(const Job *j, Fed *fed, int64_t first, int64_t count) {
    int64_t H = j->hidden, I = j->features, all = (j->high - j->low + 1) * count;
    for (int64_t begin = 0; begin < all; begin += INPUT_LINES) {
        int64_t lines = smaller(INPUT_LINES, all - begin);
        for (const int *run = INPUT_RUNS; run[1]; run += 2)
            for (int64_t i = 0; i < lines; i++) {
                int64_t step = j->high - (begin + i) / count, b = first + (begin + i) % count;
                feed(fed, (run - INPUT_RUNS) / 2 * lines + i, gradient_row(j, step, b) + run[0] * H, 0, run[1] * H);
            }
        for (int64_t panel = 0; panel < panels_of(I); panel++) {
            int width = panel_width(I, panel);
            int64_t unit = panel * 2 * LANES, blocks = (lines + rows_at_once(width) - 1) / rows_at_once(width);
            for (int64_t i = 0; i < blocks; i++) {
                int64_t from = i * lines / blocks;
                int size = (int)((i + 1) * lines / blocks - from);
                V sums[MAX_SUMS];
                memset(sums, 0, sizeof sums);
                const operand *b = j->packed_ih + unit * terms(j, INPUT_RUNS);
                for (const int *run = INPUT_RUNS; run[1]; b += operands(run[1] * H) * width * LANES, run += 2)
                    multiply(size, width, fed->rows + (run - INPUT_RUNS) / 2 * lines + from, b, operands(run[1] * H), sums, width);
                for (int m = 0; m < size; m++) {
                    int64_t line = begin + from + m, to = line_at(j, j->high - line / count, first + line % count);
                    for (int v = 0; v < width; v++) {
                        int64_t at = unit + v * LANES;
                        store_some(j->grad_x + to * I + at, sums[m * width + v], (int)smaller(LANES, I - at));
                    }
                }
            }
        }
    }
}
