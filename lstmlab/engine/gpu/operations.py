"""The operations of the equations in Triton, for float32 and float64; infinities and NaN keep their meaning.

Only kernels import this module, since it needs Triton. It uses none of CUDA's own functions, which
the interpreter does not know, and has no annotations, which the compiler does not.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def exp(x):
    """Return the exponential."""
    return tl.exp(x)


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent; near zero by the rational function of Cephes, exact to a unit in double."""
    q = x * x
    above = (-9.64399179425052238628e-1 * q - 9.92877231001918586564e1) * q - 1.61468768441708447952e3
    below = ((q + 1.12811678491632931402e2) * q + 2.23548839060100448583e3) * q + 4.84406305325125486048e3
    e = tl.exp(-2.0 * tl.abs(x))
    far = (1.0 - e) / (1.0 + e)
    return tl.where(tl.abs(x) < 0.625, x + x * q * (above / below), tl.where(x < 0, -far, far))


@triton.jit
def log_sigmoid(x):
    """Return log(sigmoid(x)): log(1 + e) = 2 artanh(e / (2 + e))."""
    e = tl.exp(-tl.abs(x))
    s = e / (2.0 + e)
    q = s * s
    p = q * 0.0 + 1.0 / 37
    for k in tl.static_range(18):
        p = p * q + 1.0 / (35 - 2 * k)
    return tl.where(x > 0, 0.0, x) - 2.0 * s * p


@triton.jit
def relu(x):
    """Return x where it is positive or NaN, else 0."""
    return tl.where(x < 0, 0.0, x)


@triton.jit
def positive(x):
    """Return 1 where x is positive, else 0: the slope of relu."""
    return tl.where(x > 0, 1.0, 0.0).to(x.dtype)


@triton.jit
def maximum(x, y):
    """Return the larger, NaN if one is NaN."""
    return tl.where((x > y) | (x != x), x, y)


@triton.jit
def larger(x, y):
    """Return 1 where x is the larger, a half where they are equal, else 0: the slope of maximum in x."""
    return tl.where(x > y, 1.0, tl.where(x == y, 0.5, 0.0)).to(x.dtype)
