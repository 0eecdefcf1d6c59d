/* The weights' gradients: what they are products of is packed for a block of steps, then multiplied. */

/* Where the lines of a share begin among those of a block, in operands: shares never meet in one. */
static int64_t place(const Job *j, int64_t first, int64_t share) {
    return operands(first * (j->high - j->low + 1)) + (TOGETHER > 1) * share;
}
static int64_t capacity(const Job *j) { return place(j, j->batch, j->threads); }
/* A gate's rows in `tall`: no TALL of them belong to two gates, be vectors longer than that or shorter. */
static int64_t tall_rows(int64_t hidden) { return (padded(hidden) + TALL - 1) / TALL * TALL; }

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
            int64_t at = g * tall_rows(H) + unit;
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

/* Add a block's part to a tile of a weight's gradient: TALL rows by up to TILE vectors; source -1 is the input. */
static void add_tile(const Job *j, int64_t panel, int source, int64_t tile) {
    int64_t H = j->hidden, K = capacity(j), columns = source < 0 ? j->features : H;
    int64_t gate = panel * TALL / tall_rows(H), unit = panel * TALL % tall_rows(H);
    int rows = (int)smaller(TALL, H - unit);
    if (gate >= GATES || rows <= 0) return;
    int row = source < 0 ? INPUT_OF[gate] : FEED_OF[gate];
    if (row < 0) return;
    int64_t at = tile_begin(columns, tile) * LANES, stride = source < 0 ? columns : SOURCES * H;
    int width = (int)(tile_begin(columns, tile + 1) - at / LANES);
    real *to = source < 0 ? j->grad_ih : j->grad_hh + source * H;
    const operand *wide = j->wide + (source < 0 ? 0 : padded(j->features) + source * padded(H)) * K;
    to += (row * H + unit) * stride + at;
    V sums[TALL * TILE];
    for (int m = 0; m < TALL; m++)
        for (int v = 0; v < width; v++) {
            int n = (int)smaller(LANES, columns - at - v * LANES);
            sums[m * width + v] = m < rows ? load_some(to + m * stride + v * LANES, n) : splat(0);
        }
    multiply_tall(width, j->tall + panel * K * TALL, wide + at * K, K, sums);
    for (int m = 0; m < rows; m++)
        for (int v = 0; v < width; v++)
            store_some(to + m * stride + v * LANES, sums[m * width + v], (int)smaller(LANES, columns - at - v * LANES));
}

/* A few panels at a time, so that a tile of what they are multiplied with is read from near. */
static void weight_gradients(Job *j, int64_t item) {
    for (int source = -1; source < SOURCES; source++) {
        int64_t columns = source < 0 ? j->features : j->hidden;
        for (int64_t tile = 0; tile_begin(columns, tile) < vectors_of(columns); tile++)
            for (int i = 0; i < PANELS_AT_ONCE; i++) add_tile(j, item * PANELS_AT_ONCE + i, source, tile);
    }
}
