// Elementary functions on vectors of 16 floats. Polynomials are weighted minimax fits made for this file; the error
// bounds in CTensorKernels.h are asserted by the tests over dense sweeps against double precision.
#pragma once

#include "functions_double.h"

// MARK: Exponential and logarithm

/// e^x: x = n·ln 2 + r, 2^n · (1 + r + r²·q(r)). Inputs below ln 2^-126 give +0.
INLINE v16f exponential(v16f x) {
  const float round_magic = 0x1.8p23f;
  v16f bounded = choose(x > 89.0f, (v16f)89.0f, x);
  bounded = choose(x < -88.0f, (v16f)-88.0f, bounded);
  v16f shifted = fused(bounded, (v16f)0x1.715476p+0f, (v16f)round_magic);
  v16i n = (v16i)shifted - 0x4b400000;
  v16f nf = shifted - round_magic;
  v16f r = fused(nf, (v16f)-0x1.62e430p-1f, bounded);
  r = fused(nf, (v16f)0x1.05c610p-29f, r);
  v16f q = fused(r, (v16f)0x1.6a4b98p-10f, (v16f)0x1.123e5cp-7f);
  q = fused(r, q, (v16f)0x1.5558bap-5f);
  q = fused(r, q, (v16f)0x1.55548cp-3f);
  q = fused(r, q, (v16f)0x1.fffffcp-2f);
  v16f p = fused(q, r * r, r) + 1.0f;
  // 2^128 is no float32: scale in two steps.
  v16i half = n >> 1;
  v16f result = p * (v16f)((half + 127) << 23) * (v16f)((n - half + 127) << 23);
  return choose(x < -0x1.5d589ep+6f, (v16f)0.0f, result);
}

/// Natural logarithm: x = 2^e · (1 + f) with 1 + f in [√½, √2).
INLINE v16f logarithm(v16f x) {
  v16i tiny = x < 0x1p-126f;
  v16f scaled = choose(tiny, x * 0x1p23f, x);
  v16i offset = (v16i)scaled - 0x3f3504f3;
  v16i exponent = (offset >> 23) + (tiny & -23);
  v16f f = (v16f)((offset & 0x007fffff) + 0x3f3504f3) - 1.0f;
  v16f e = __builtin_convertvector(exponent, v16f);
  v16f p = fused(f, (v16f)0x1.1484fcp-4f, (v16f)-0x1.de218ep-4f);
  p = fused(f, p, (v16f)0x1.e6c900p-4f);
  p = fused(f, p, (v16f)-0x1.fc24fap-4f);
  p = fused(f, p, (v16f)0x1.233aeep-3f);
  p = fused(f, p, (v16f)-0x1.555c52p-3f);
  p = fused(f, p, (v16f)0x1.99a47cp-3f);
  p = fused(f, p, (v16f)-0x1.000006p-2f);
  p = fused(f, p, (v16f)0x1.555548p-2f);
  v16f square = f * f;
  // f - f²/2 + f³·p, with the low part of e·ln 2 among the small terms.
  v16f small = fused(square * f, p, e * -0x1.05c610p-29f);
  small = fused((v16f)-0.5f, square, small);
  v16f result = fused(e, (v16f)0x1.62e430p-1f, f + small);
  result = choose(x == (float)INFINITY, x, result);
  result = choose(x == 0.0f, (v16f)(float)-INFINITY, result);
  return choose((x < 0.0f) | (x != x), (v16f)(float)NAN, result);
}

/// e^x and log x with the accuracy of double, for pow.
INLINE v16d log2_double(v16d x) {
  v16l offset = (v16l)x - 0x3fe6a09e667f3bcdLL;
  v16d e = __builtin_convertvector(offset >> 52, v16d);
  v16d m = (v16d)((offset & 0x000fffffffffffffLL) + 0x3fe6a09e667f3bcdLL);
  v16d s = (m - 1.0) / (m + 1.0);
  v16d z = s * s;
  v16d p = (v16d)(1.0 / 19);
  p = fused_double(z, p, (v16d)(1.0 / 17));
  p = fused_double(z, p, (v16d)(1.0 / 15));
  p = fused_double(z, p, (v16d)(1.0 / 13));
  p = fused_double(z, p, (v16d)(1.0 / 11));
  p = fused_double(z, p, (v16d)(1.0 / 9));
  p = fused_double(z, p, (v16d)(1.0 / 7));
  p = fused_double(z, p, (v16d)(1.0 / 5));
  p = fused_double(z, p, (v16d)(1.0 / 3));
  v16d log_m = 2.0 * fused_double(s * z, p, s);
  return fused_double(log_m, (v16d)0x1.71547652b82fep+0, e);
}

INLINE v16d exp2_double(v16d t) {
  v16d shifted = t + 0x1.8p52;
  v16l n = (v16l)shifted - 0x4338000000000000LL;
  v16d r = (t - (shifted - 0x1.8p52)) * 0x1.62e42fefa39efp-1;
  v16d p = (v16d)(1.0 / 479001600);
  p = fused_double(r, p, (v16d)(1.0 / 39916800));
  p = fused_double(r, p, (v16d)(1.0 / 3628800));
  p = fused_double(r, p, (v16d)(1.0 / 362880));
  p = fused_double(r, p, (v16d)(1.0 / 40320));
  p = fused_double(r, p, (v16d)(1.0 / 5040));
  p = fused_double(r, p, (v16d)(1.0 / 720));
  p = fused_double(r, p, (v16d)(1.0 / 120));
  p = fused_double(r, p, (v16d)(1.0 / 24));
  p = fused_double(r, p, (v16d)(1.0 / 6));
  p = fused_double(r, p, (v16d)(1.0 / 2));
  p = fused_double(r, p, (v16d)1.0);
  p = fused_double(r, p, (v16d)1.0);
  return p * (v16d)((n + 1023) << 52);
}

/// x^y through double precision, rounded once; the special cases are those of C99.
INLINE v16f power(v16f x, v16f y) {
  v16f magnitude = absolute(x);
  v16i infinite = magnitude == (float)INFINITY;
  v16i zero = magnitude == 0.0f;
  v16f ordinary = choose(infinite | zero | (x != x), (v16f)1.0f, magnitude);
  v16d logarithm = log2_double(__builtin_convertvector(ordinary, v16d));
  v16l infinite_wide = __builtin_convertvector(infinite, v16l), zero_wide = __builtin_convertvector(zero, v16l);
  logarithm = choose_double(infinite_wide, (v16d)(double)INFINITY, logarithm);
  logarithm = choose_double(zero_wide, (v16d)(double)-INFINITY, logarithm);
  v16d t = __builtin_convertvector(y, v16d) * logarithm;
  t = choose_double(t > 200.0, (v16d)200.0, t);
  t = choose_double(t < -200.0, (v16d)-200.0, t);
  v16f result = __builtin_convertvector(exp2_double(t), v16f);

  v16f y_magnitude = absolute(y);
  v16f truncated = __builtin_elementwise_trunc(y);
  v16i integer = truncated == y;
  v16f halved = y * 0.5f;
  v16i odd = integer & (y_magnitude < 0x1p24f) & (__builtin_elementwise_trunc(halved) != halved);
  v16i negative = (v16i)x < 0;
  result = choose(negative & odd, -result, result);
  result = choose((x < 0.0f) & ~infinite & ~integer, (v16f)(float)NAN, result);
  result = choose((magnitude == 1.0f) & (y_magnitude == (float)INFINITY), (v16f)1.0f, result);
  result = choose((x != x) | (y != y), (v16f)(float)NAN, result);
  return choose((x == 1.0f) | (y == 0.0f), (v16f)1.0f, result);
}

// MARK: Error function and hyperbolic tangent

INLINE v16f error_function(v16f x) {
  v16f t = absolute(x);
  v16f s = x * x;
  v16f p = fused(s, (v16f)-0x1.3873ccp-11f, (v16f)0x1.46d9d0p-8f);
  p = fused(s, p, (v16f)-0x1.b67c02p-6f);
  p = fused(s, p, (v16f)0x1.ce1986p-4f);
  p = fused(s, p, (v16f)-0x1.8126e2p-2f);
  p = fused(s, p, (v16f)0x1.06eba6p-3f);
  v16f near = fused(x, p, x);
  // erf t = 1 - e^-(t + t·q(t)); from 4 on it rounds to 1.
  v16f bounded = choose(t > 4.0f, (v16f)4.0f, t);
  v16f q = fused(bounded, (v16f)0x1.6bceccp-17f, (v16f)-0x1.4e6834p-12f);
  q = fused(bounded, q, (v16f)0x1.db5b0cp-9f);
  q = fused(bounded, q, (v16f)-0x1.84c59ap-6f);
  q = fused(bounded, q, (v16f)0x1.b2fcfep-4f);
  q = fused(bounded, q, (v16f)0x1.45359ap-1f);
  q = fused(bounded, q, (v16f)0x1.0775dep-3f);
  v16f far = 1.0f - exponential(-fused(bounded, q, bounded));
  return choose(t < 0.92f, near, with_sign_of(far, x));
}

INLINE v16f hyperbolic_tangent(v16f x) {
  v16f t = absolute(x);
  v16f s = x * x;
  v16f p = fused(s, (v16f)-0x1.73ffa2p-8f, (v16f)0x1.51c4d2p-6f);
  p = fused(s, p, (v16f)-0x1.b82f58p-5f);
  p = fused(s, p, (v16f)0x1.1106d8p-3f);
  p = fused(s, p, (v16f)-0x1.555532p-2f);
  v16f near = fused(x * s, p, x);
  v16f bounded = choose(t > 10.0f, (v16f)10.0f, t);
  v16f far = 1.0f - 2.0f / (exponential(bounded + bounded) + 1.0f);
  // -0 leaves the near branch as +0.
  return with_sign_of(choose(t < 0.625f, near, far), x);
}

// MARK: Activations, through double precision and rounded once

INLINE v16d widened(v16f x) { return __builtin_convertvector(x, v16d); }
INLINE v16f narrowed(v16d x) { return __builtin_convertvector(x, v16f); }

static const double exponential_brief_terms[] = {
  0x1.0000000b8fb6dp-1, 0x1.5555555a78488p-3, 0x1.5554e90f41648p-5, 0x1.1110e0f63cedcp-7, 0x1.6d4317dde5b58p-10,
  0x1.a124e67917289p-13,
};
static const double complement_brief_terms[] = {
  0x1.40c522d752b2fp+0, -0x1.15c08a7ede16fp-3, -0x1.85a16921b7cc3p-5, 0x1.098437829e323p-3, -0x1.e889ac0e27117p-4,
  0x1.17ba6e6564b82p-4, -0x1.85da0e7f986a4p-6, 0x1.51c0f4eeaaf58p-9, 0x1.06604be544440p-9, -0x1.9d33c6e0731e5p-11,
  -0x1.1ee2dde80b0f6p-12,
};

/// e^x for -300 <= x <= 300 (beyond, that of the bound) to 32 bits. NaN goes through.
INLINE v16d exponential_brief(v16d x) {
  v16d bounded = choose_double(x > 300.0, (v16d)300.0, x);
  bounded = choose_double(x < -300.0, (v16d)-300.0, bounded);
  v16d shifted = fused_double(bounded, (v16d)0x1.71547652b82fep+0, (v16d)0x1.8p52);
  v16d r = fused_double(shifted - 0x1.8p52, (v16d)-0x1.62e42fefa39efp-1, bounded);
  v16d p = fused_double(r * r, polynomial(r, exponential_brief_terms, 5), r) + 1.0;
  return p * power_of_two((v16l)shifted - 0x4338000000000000LL);
}

/// x / (1 + e^-a)
INLINE v16f gated_brief(v16f x, v16d a) {
  v16f result = narrowed(widened(x) / (1.0 + exponential_brief(-a)));
  return choose(x == (float)-INFINITY, (v16f)(float)NAN, result);
}

INLINE v16f sigmoid(v16f x) { return narrowed(1.0 / (1.0 + exponential_brief(-widened(x)))); }
INLINE v16f relu(v16f x) { return choose(x <= 0.0f, (v16f)0.0f, x); }
INLINE v16f silu(v16f x) { return gated_brief(x, widened(x)); }
INLINE v16f quick_gelu(v16f x) { return gated_brief(x, 1.702 * widened(x)); }

/// x / (1 + e^-a), a = √(8/π) · (x + 0.044715·x³)
INLINE v16f gelu_tanh(v16f x) {
  v16d d = widened(x);
  return gated_brief(x, d * fused_double(d * d, (v16d)0x1.2444f2a4d8b4bp-4, (v16d)0x1.9884533d43651p+0));
}

/// x · Φ(x) = max(x, 0) - |x| · erfc(u) / 2, u = |x| / √2; e^u² · erfc u is a polynomial of (u - 3) / (u + 3), over 1 + 2u.
INLINE v16f gelu_erf(v16f x) {
  v16f magnitude = absolute(x);
  v16d t = widened(choose(magnitude > 14.5f, (v16f)14.5f, magnitude));
  v16d u = t * 0x1.6a09e667f3bcdp-1;
  // Both quotients from one division.
  v16d left = u + 3.0, right = fused_double(u, (v16d)2.0, (v16d)1.0);
  v16d inverse = 0.5 / (left * right);
  v16d complement = polynomial((u - 3.0) * (inverse * (right + right)), complement_brief_terms, 10) * (inverse * left);
  v16d tail = t * complement * exponential_brief(-0.5 * (t * t));
  v16f result = narrowed(widened(choose(x > 0.0f, x, (v16f)-0.0f)) - tail);
  result = choose(x == 0.0f, x, result);
  return choose(x == (float)-INFINITY, (v16f)(float)NAN, choose(x != x, x, result));
}

/// log₂ x of one number, rounded once.
INLINE float binary_logarithm(float x) { return (float)(logarithm_double((v16d)(double)x)[0] * 0x1.71547652b82fep+0); }

/// The nearest integer, halves to even: from 2^23 on every float32 is one.
INLINE v16f rounded(v16f x) {
  v16f t = absolute(x);
  return with_sign_of(choose(t < 0x1p23f, (t + 0x1p23f) - 0x1p23f, t), x);
}
INLINE v16f sign(v16f x) {
  return choose(x > 0.0f, (v16f)1.0f, choose(x < 0.0f, (v16f)-1.0f, x));
}
