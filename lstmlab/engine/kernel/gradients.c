/* The weights' gradients: what they are products of is packed for a block of steps, then multiplied. */

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
