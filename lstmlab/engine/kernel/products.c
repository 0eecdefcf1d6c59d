/* Products of rows with a packed matrix, in the operands' own type. */

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

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

#if VECTOR_BYTES == 64 && !ROUND
/* Transpose LANES vectors of LANES: exchange blocks of 1, 2, 4, ... lanes between pairs of vectors. */
INLINE void transpose(V *rows) {
    for (int d = 1; d < LANES; d *= 2) {
        I low, high; /* lanes of the pair's first vector, then (from LANES on) of its second */
        for (int l = 0; l < LANES; l++) {
            low[l] = l & d ? LANES + l - d : l;
            high[l] = l & d ? LANES + l : l + d;
        }
        for (int i = 0; i < LANES; i++)
            if (!(i & d)) {
                native a = (native)rows[i], b = (native)rows[i + d];
                rows[i] = (V)OF(permutex2var)(a, (__m512i)low, b);
                rows[i + d] = (V)OF(permutex2var)(a, (__m512i)high, b);
            }
    }
}
#endif

/* to[k][column] = from[k * k_stride + column * column_stride]; `to` is zero before. */
static void pack(operand *to, int width, const real *from, int64_t k_stride, int64_t column_stride, int64_t count, int64_t columns) {
    int64_t k0 = 0;
#if VECTOR_BYTES == 64 && !ROUND
    if (k_stride == 1 && columns == LANES)
        for (; k0 + LANES <= count; k0 += LANES) {
            V rows[LANES];
            for (int c = 0; c < LANES; c++) {
                rows[c] = load(from + k0 + c * column_stride);
                __builtin_prefetch(from + k0 + c * column_stride + 4 * LANES); /* too many rows for the CPU to foresee */
            }
            transpose(rows);
            for (int k = 0; k < LANES; k++) store(to + (k0 + k) * width, rows[k]);
        }
#endif
#if !ROUND
    if (column_stride == 1)
        for (; k0 < count; k0++)
            for (int64_t c = 0; c < columns; c += LANES)
                store_some(to + k0 * width + c, load_some(from + k0 * k_stride + c, (int)smaller(LANES, columns - c)), (int)smaller(LANES, columns - c));
#endif
    for (; k0 < count; k0 += 16)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t k = k0; k < count && k < k0 + 16; k++)
                put(to + k / TOGETHER * width + c, k % TOGETHER, from[k * k_stride + c * column_stride]);
}

static int64_t vectors_of(int64_t n) { return (n + LANES - 1) / LANES; }
static int64_t padded(int64_t n) { return vectors_of(n) * LANES; }

/* Panels of the backward products are two vectors wide; the last takes one more rather than leave it alone. */
static int64_t panels_of(int64_t n) { return vectors_of(n) < 4 ? 1 : vectors_of(n) / 2; }
static int panel_width(int64_t n, int64_t panel) { return panel < panels_of(n) - 1 ? 2 : (int)(vectors_of(n) - 2 * panel); }
static int rows_at_once(int width) { return width == 3 ? ROWS_OF_3 : width == 2 ? ROWS_OF_2 : ROWS_OF_1; }
