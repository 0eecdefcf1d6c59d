/* All steps forward: a share of the rows at a time. */

/* Packed: [panel of units][source][group of gates][k][gate][lane], the input likewise without source. */
static void pack_forward(Job *j, int64_t panel) {
    int64_t H = j->hidden, unit = panel * LANES, lanes = smaller(LANES, H - unit);
    operand *to = j->packed_ih + panel * INPUTS * operands(j->features) * LANES;
    int gaps = lanes < LANES || TOGETHER > 1; /* places that nothing is packed to, and that must be zero */
    if (gaps) memset(to, 0, (size_t)(INPUTS * operands(j->features) * LANES) * sizeof *to);
    for (int q = 0, gate = 0; gate < INPUTS; gate += INPUT_GROUPS[q++], to += INPUT_GROUPS[q - 1] * operands(j->features) * LANES)
        for (int g = 0; g < INPUT_GROUPS[q]; g++)
            pack(to + g * LANES, INPUT_GROUPS[q] * LANES, j->weight_ih + ((gate + g) * H + unit) * j->features, 1, j->features, j->features, lanes);
    to = j->packed_hh + panel * SOURCES * FEEDS * operands(H) * LANES;
    if (gaps) memset(to, 0, (size_t)(SOURCES * FEEDS * operands(H) * LANES) * sizeof *to);
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
    int64_t span = smaller(j->steps, count < INPUT_LINES ? INPUT_LINES / count : 1);
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
