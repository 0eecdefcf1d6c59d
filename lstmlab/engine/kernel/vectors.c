/* Vectors, and the functions that equations may use on them. */

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
    V t = magnitude(e / (e + (real)2));
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
