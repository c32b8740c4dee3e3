// Elementary functions on vectors of 16 doubles, with the largest errors that CTensorKernels.h states.
//
// Polynomials are printed by tools/fit-functions. No function calls the system's mathematical library, whose bits differ
// from one system to the next.
#pragma once

#include "angles.h"

INLINE v16d load_doubles(const double *p, size_t count) {
  v16d v = (v16d)1.0;
  if (count >= 16) {
    memcpy(&v, p, sizeof v);
    return v;
  }
  double padded[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  for (size_t i = 0; i < count; i++) padded[i] = p[i];
  memcpy(&v, padded, sizeof v);
  return v;
}

INLINE void store_doubles(double *p, v16d v, size_t count) {
  if (count >= 16) {
    memcpy(p, &v, sizeof v);
    return;
  }
  double padded[16];
  memcpy(padded, &v, sizeof v);
  for (size_t i = 0; i < count; i++) p[i] = padded[i];
}

INLINE v16d absolute_double(v16d x) { return (v16d)((v16l)x & INT64_MAX); }
INLINE v16d with_sign_of_double(v16d magnitude, v16d sign) {
  return (v16d)(((v16l)magnitude & INT64_MAX) | ((v16l)sign & INT64_MIN));
}
INLINE v16d negated_where(v16l mask, v16d x) { return (v16d)((v16l)x ^ (mask & INT64_MIN)); }

/// c[0] + c[1]·x + … + c[degree]·x^degree
INLINE v16d polynomial(v16d x, const double *c, const int degree) {
  v16d p = (v16d)c[degree];
#pragma clang loop unroll(full)
  for (int i = degree - 1; i >= 0; i--) p = fused_double(x, p, (v16d)c[i]);
  return p;
}

/// a + b, and what rounding took away.
INLINE v16d exact_sum(v16d a, v16d b, v16d *rest) {
  v16d sum = a + b;
  v16d part = sum - a;
  *rest = (a - (sum - part)) + (b - part);
  return sum;
}

/// The nearest integer, halves to even: from 2^52 on every double is one.
INLINE v16d rounded_double(v16d x) {
  v16d t = absolute_double(x);
  return with_sign_of_double(choose_double(t < 0x1p52, (t + 0x1p52) - 0x1p52, t), x);
}

/// An integer below 2^51 in magnitude as a double.
INLINE v16d double_of(v16l n) { return (v16d)(n + 0x4338000000000000LL) - 0x1.8p52; }

/// 2^n for n from -1022 to 1023.
INLINE v16d power_of_two(v16l n) { return (v16d)((n + 1023) << 52); }

/// x · 2^n in two steps, of which only the last can round.
INLINE v16d scaled(v16d x, v16l n) {
  v16l half = n >> 1;
  return x * power_of_two(half) * power_of_two(n - half);
}

// MARK: Exponential

static const double exponential_terms[] = {
  0x1.0000000000000p-1, 0x1.5555555555557p-3, 0x1.5555555555556p-5, 0x1.11111111100dep-7, 0x1.6c16c16c162d6p-10,
  0x1.a01a01abe683ap-13, 0x1.a01a01a6d7b19p-16, 0x1.71de02364614ap-19, 0x1.27e4db6718a69p-22, 0x1.af4ddfbb33a59p-26,
  0x1.1f72fdb6c6442p-29,
};

/// e^(x + low) = 2^n · (1 + r + tail), |r| <= ln 2 / 2. NaN goes through.
typedef struct exponential_parts {
  v16d r, tail;
  v16l n;
} exponential_parts;

INLINE exponential_parts split_exponential(v16d x, v16d low, const double least) {
  exponential_parts e;
  v16d bounded = choose_double(x > 720.0, (v16d)720.0, x);
  bounded = choose_double(x < least, (v16d)least, bounded);
  v16d shifted = fused_double(bounded, (v16d)0x1.71547652b82fep+0, (v16d)0x1.8p52);
  e.n = (v16l)shifted - 0x4338000000000000LL;
  v16d n = shifted - 0x1.8p52;
  v16d exact = fused_double(n, (v16d)-0x1.62e42fefa3800p-1, bounded);
  e.r = fused_double(n, (v16d)-0x1.ef35793c76730p-45, exact);
  v16d rest = fused_double(n, (v16d)-0x1.ef35793c76730p-45, exact - e.r) + low;
  v16d curve = e.r * e.r * polynomial(e.r, exponential_terms, 10);
  e.tail = fused_double(rest, e.r + curve, rest) + curve;
  return e;
}

/// 2^n · (constant + r + tail) without the power; |constant| >= 1/2, or 0.
INLINE v16d joined(v16d constant, exponential_parts e) {
  v16d sum = constant + e.r;
  return sum + (((constant - sum) + e.r) + e.tail);
}

INLINE v16d exponential_of_sum(v16d x, v16d low) {
  exponential_parts e = split_exponential(x, low, -760.0);
  return scaled(joined((v16d)1.0, e), e.n);
}
INLINE v16d exponential_double(v16d x) { return exponential_of_sum(x, (v16d)0.0); }

/// e^x - 1
INLINE v16d exponential_minus_one(v16d x) {
  exponential_parts e = split_exponential(x, (v16d)0.0, -40.0);
  v16l n = (v16l)choose_double(e.n > 64, (v16d)(v16l)64, (v16d)e.n);
  v16d result = scaled(joined(1.0 - power_of_two(-n), e), e.n);
  return choose_double(x == 0.0, x, result);
}

// MARK: Logarithm and power

static const double logarithm_terms[] = {
  0x1.5555555555555p-1, 0x1.9999999999a38p-2, 0x1.2492492476ba1p-2, 0x1.c71c72017a15cp-3, 0x1.745cf8f6c9119p-3,
  0x1.3b1c38474d3eep-3, 0x1.0fbe478772696p-3, 0x1.0c06cf14c641bp-3,
};

/// x = 2^k · m with m in [√½, √2).
INLINE v16d split_mantissa(v16d x, v16l *k) {
  v16l tiny = x < 0x1p-1022;
  v16d normal = choose_double(tiny, x * 0x1p54, x);
  v16l offset = (v16l)normal - 0x3fe6a09e667f3bcdLL;
  *k = (offset >> 52) + (tiny & -54);
  return (v16d)((offset & 0x000fffffffffffffLL) + 0x3fe6a09e667f3bcdLL);
}

/// log(x + low), |low| being at most half a unit in the last place of x.
INLINE v16d logarithm_of_sum(v16d x, v16d low) {
  v16l k;
  v16d f = split_mantissa(x, &k) - 1.0;
  v16d e = double_of(k);
  v16d correction = choose_double(low == 0.0, (v16d)0.0, low / x);
  v16d half_square = 0.5 * f * f;
  v16d q = f / (2.0 + f);
  v16d z = q * q;
  v16d small = fused_double(e, (v16d)0x1.ef35793c76730p-45, correction);
  small = fused_double(q, fused_double(z, polynomial(z, logarithm_terms, 7), half_square), small);
  v16d result = fused_double(e, (v16d)0x1.62e42fefa3800p-1, f - (half_square - small));
  result = choose_double(x == (double)INFINITY, x, result);
  result = choose_double(x == 0.0, (v16d)(double)-INFINITY, result);
  return choose_double((x < 0.0) | (x != x), (v16d)(double)NAN, result);
}
INLINE v16d logarithm_double(v16d x) { return logarithm_of_sum(x, (v16d)0.0); }

/// log(1 + x)
INLINE v16d logarithm_of_one_plus(v16d x) {
  v16d rest, sum = exact_sum((v16d)1.0, x, &rest);
  v16d result = logarithm_of_sum(sum, choose_double(sum == (double)INFINITY, (v16d)0.0, rest));
  return choose_double(x == 0.0, x, result);
}

static const double logarithm_far_terms[] = {
  0x1.999999999999ap-3, 0x1.2492492492491p-3, 0x1.c71c71c71cfdep-4, 0x1.745d174512f5ep-4, 0x1.3b13b1bcae4fap-4,
  0x1.1110df9bb9145p-4, 0x1.e1f80050fe02dp-5, 0x1.ac4a0689e4f11p-5, 0x1.b8d8d83f51283p-5,
};

/// log x of a positive finite x to about 100 bits: atanh q = q + q³/3 + q⁵·…, the first two terms as sums of two doubles.
INLINE v16d long_logarithm(v16d x, v16d *low) {
  v16l k;
  v16d m = split_mantissa(x, &k);
  v16d e = double_of(k);
  v16d f = m - 1.0, d = m + 1.0;
  v16d d_low = m - (d - 1.0);
  v16d q = f / d;
  v16d q_low = fused_double(-q, d_low, fused_double(-q, d, f)) / d;
  v16d z = q * q;
  v16d z_low = fused_double(2.0 * q, q_low, fused_double(q, q, -z));
  v16d c = q * z;
  v16d c_low = fused_double(q, z, -c) + fused_double(q, z_low, q_low * z);
  v16d t = c * 0x1.5555555555555p-2;
  v16d t_low = fused_double(c, (v16d)0x1.5555555555555p-2, -t)
    + fused_double(c, (v16d)0x1.5555555555555p-56, c_low * 0x1.5555555555555p-2);
  v16d far = c * z * polynomial(z, logarithm_far_terms, 8);
  v16d a = q + t;
  v16d a_low = ((q - a) + t) + (q_low + (t_low + far));
  v16d rest, sum = exact_sum(e * 0x1.62e42fefa3800p-1, 2.0 * a, &rest);
  rest = rest + fused_double(e, (v16d)0x1.ef35793c76730p-45, 2.0 * a_low);
  v16d high = sum + rest;
  *low = (sum - high) + rest;
  return high;
}

/// x^y; the special cases are those of C99.
INLINE v16d power_double(v16d x, v16d y) {
  v16d magnitude = absolute_double(x), y_magnitude = absolute_double(y);
  v16l infinite = magnitude == (double)INFINITY, zero = magnitude == 0.0;
  v16d low, high = long_logarithm(choose_double(infinite | zero | (x != x), (v16d)1.0, magnitude), &low);
  high = choose_double(infinite, (v16d)(double)INFINITY, high);
  high = choose_double(zero, (v16d)(double)-INFINITY, high);
  v16d t = y * high;
  v16d t_low = fused_double(y, high, -t) + y * low;
  t_low = choose_double(absolute_double(t) < 800.0, t_low, (v16d)0.0);
  v16d result = exponential_of_sum(t, t_low);
  v16d truncated = __builtin_elementwise_trunc(y), halved = y * 0.5;
  v16l integer = truncated == y;
  v16l odd = integer & (y_magnitude < 0x1p53) & (__builtin_elementwise_trunc(halved) != halved);
  result = negated_where(((v16l)x < 0) & odd, result);
  result = choose_double((x < 0.0) & ~infinite & ~integer, (v16d)(double)NAN, result);
  result = choose_double((magnitude == 1.0) & (y_magnitude == (double)INFINITY), (v16d)1.0, result);
  result = choose_double((x != x) | (y != y), (v16d)(double)NAN, result);
  return choose_double((x == 1.0) | (y == 0.0), (v16d)1.0, result);
}

// MARK: Trigonometry

static const double sine_terms[] = {
  0x1.1111111111110p-7, -0x1.a01a01a019937p-13, 0x1.71de3a54607fap-19, -0x1.ae6454129f078p-26, 0x1.61217eed1c04ap-33,
  -0x1.ab17c21adf462p-41,
};
static const double cosine_terms[] = {
  0x1.5555555555555p-5, -0x1.6c16c16c16c16p-10, 0x1.a01a01a019d0ap-16, -0x1.27e4fb7712cc8p-22, 0x1.1eed8deb869afp-29,
  -0x1.9394b9f1ce104p-37, 0x1.ab784b1122af7p-45,
};

/// Sine and cosine of x modulo quarter turns, and the number of these.
INLINE v16l sine_and_cosine(v16d x, v16d *sine, v16d *cosine) {
  v16d shifted = fused_double(x, (v16d)0x1.45f306dc9c883p-1, (v16d)0x1.8p52);
  v16l quadrant = (v16l)shifted;
  v16d n = shifted - 0x1.8p52;
  // Quarter turns in parts of 33 bits, whose products are exact, so that nothing is lost where they cancel.
  v16d first = fused_double(n, (v16d)-0x1.921fb54400000p+0, x);
  v16d rest, more, second = exact_sum(first, n * -0x1.0b4611a600000p-34, &rest);
  v16d third = exact_sum(second, n * -0x1.3198a2e000000p-69, &more);
  rest = (rest + more) + n * -0x1.b839a252049c1p-104;
  v16d high = third + rest;
  v16d low = (third - high) + rest;
  v16l large = ~(absolute_double(x) < 0x1p20);
  int64_t any = 0;
  for (int i = 0; i < 16; i++) any |= large[i];
  if (any) {
    double xs[16], highs[16], lows[16];
    int64_t quadrants[16];
    memcpy(xs, &x, sizeof xs);
    memcpy(highs, &high, sizeof highs);
    memcpy(lows, &low, sizeof lows);
    memcpy(quadrants, &quadrant, sizeof quadrants);
    for (int i = 0; i < 16; i++)
      if (!(xs[i] < 0x1p20 && xs[i] > -0x1p20))
        pollard_reduce_large_angle(xs[i], highs + i, lows + i, quadrants + i);
    memcpy(&high, highs, sizeof high);
    memcpy(&low, lows, sizeof low);
    memcpy(&quadrant, quadrants, sizeof quadrant);
  }
  v16d z = high * high;
  v16d cube = z * high;
  v16d s = 0.5 * low - cube * polynomial(z, sine_terms, 5);
  *sine = high - ((z * s - low) + cube * 0x1.5555555555555p-3);
  v16d half = 0.5 * z;
  v16d w = 1.0 - half;
  v16d c = fused_double(z, z * polynomial(z, cosine_terms, 6), -(high * low));
  *cosine = w + (((1.0 - w) - half) + c);
  return quadrant;
}

INLINE v16d sine_or_cosine_double(v16d x, const int quarter_turns) {
  v16d s, c;
  v16l quadrant = sine_and_cosine(x, &s, &c) + quarter_turns;
  v16d value = choose_double(-(quadrant & 1), c, s);
  value = (v16d)((v16l)value ^ ((quadrant & 2) << 62));
  return quarter_turns == 0 ? choose_double(x == 0.0, x, value) : value;
}

INLINE v16d tangent_double(v16d x) {
  v16d s, c;
  v16l odd = -(sine_and_cosine(x, &s, &c) & 1);
  v16d value = choose_double(odd, -c, s) / choose_double(odd, s, c);
  return choose_double(x == 0.0, x, value);
}

static const double arctangent_terms[] = {
  -0x1.5555555555555p-2, 0x1.999999999998fp-3, -0x1.24924924918dap-3, 0x1.c71c71c6734d0p-4, -0x1.745d171e17004p-4,
  0x1.3b13aba9355c0p-4, -0x1.1110904178f8fp-4, 0x1.e1d233ed77442p-5, -0x1.ae7fd9a52a075p-5, 0x1.812bcfc86b90cp-5,
  -0x1.4abbfdd2be694p-5, 0x1.ddd7373373f00p-6, -0x1.99ef465843f9bp-7,
};

/// arctan x = arctan b + arctan((x - b) / (1 + b·x)) for the nearest b of 0, ½, 1, 1½ and infinity.
INLINE v16d arctangent_double(v16d x) {
  v16d t = absolute_double(x);
  v16d numerator = t, denominator = (v16d)1.0, base = (v16d)0.0, base_low = (v16d)0.0;
#define NEAR(BOUND, NUMERATOR, DENOMINATOR, BASE, BASE_LOW)                  \
  {                                                                          \
    v16l beyond = t >= BOUND;                                                \
    numerator = choose_double(beyond, NUMERATOR, numerator);                 \
    denominator = choose_double(beyond, DENOMINATOR, denominator);           \
    base = choose_double(beyond, (v16d)BASE, base);                          \
    base_low = choose_double(beyond, (v16d)BASE_LOW, base_low);              \
  }
  NEAR(0.4375, 2.0 * t - 1.0, 2.0 + t, 0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56)
  NEAR(0.6875, t - 1.0, t + 1.0, 0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55)
  NEAR(1.1875, t - 1.5, fused_double(t, (v16d)1.5, (v16d)1.0), 0x1.f730bd281f69bp-1, 0x1.007887af0cbbdp-56)
  NEAR(2.4375, (v16d)-1.0, t, 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54)
#undef NEAR
  v16d q = numerator / denominator;
  v16d z = q * q;
  v16d curve = q * z * polynomial(z, arctangent_terms, 12);
  return with_sign_of_double(base + (q + (curve + base_low)), x);
}

static const double arcsine_terms[] = {
  0x1.5555555555555p-3, 0x1.333333333332dp-4, 0x1.6db6db6db7c7fp-5, 0x1.f1c71c70ee54ap-6, 0x1.6e8ba31c9dc09p-6,
  0x1.1c4ebd7735bf2p-6, 0x1.c99afe79266f3p-7, 0x1.7a70c2a695fe0p-7, 0x1.40e38d543d8d2p-7, 0x1.0a9849ba5937fp-7,
  0x1.2031dbbbbad45p-7, 0x1.8f5a75293b096p-12, 0x1.7184808eff5eep-6, -0x1.898d77b6dddb2p-6, 0x1.f74bdb0d4b5bep-6,
};

/// Beyond ½: arcsin x = π/2 - 2·arcsin √((1 - x)/2).
INLINE v16d arcsine_double(v16d x) {
  v16d t = absolute_double(x);
  v16l near = t < 0.5;
  v16d z = choose_double(near, t * t, (1.0 - t) * 0.5);
  v16d s = choose_double(near, t, __builtin_elementwise_sqrt(z));
  v16d s_low = choose_double(near | (s == 0.0), (v16d)0.0, fused_double(-s, s, z) / (s + s));
  v16d curve = s * z * polynomial(z, arcsine_terms, 14);
  v16d small = s + curve;
  v16d rest, far = exact_sum((v16d)0x1.921fb54442d18p+0, -2.0 * s, &rest);
  far = far + (rest + (0x1.1a62633145c07p-54 - 2.0 * (s_low + curve)));
  return with_sign_of_double(choose_double(near, small, far), x);
}

INLINE v16d arccosine_double(v16d x) {
  v16d t = absolute_double(x);
  v16l near = t < 0.5;
  v16d z = choose_double(near, t * t, (1.0 - t) * 0.5);
  v16d s = choose_double(near, x, __builtin_elementwise_sqrt(z));
  v16d s_low = choose_double(near | (s == 0.0), (v16d)0.0, fused_double(-s, s, z) / (s + s));
  v16d curve = s * z * polynomial(z, arcsine_terms, 14) + s_low;
  v16d rest, middle = exact_sum((v16d)0x1.921fb54442d18p+0, -s, &rest);
  middle = middle + (rest + (0x1.1a62633145c07p-54 - curve));
  v16d positive = 2.0 * (s + curve);
  v16d more, negative = exact_sum((v16d)0x1.921fb54442d18p+1, -2.0 * s, &more);
  negative = negative + (more + (0x1.1a62633145c07p-53 - 2.0 * curve));
  return choose_double(near, middle, choose_double(x < 0.0, negative, positive));
}

// MARK: Hyperbolic functions

INLINE v16d hyperbolic_sine_double(v16d x) {
  v16d t = absolute_double(x);
  v16d e = exponential_minus_one(choose_double(t > 30.0, (v16d)30.0, t));
  v16d near = 0.5 * (e + e / (e + 1.0));
  exponential_parts p = split_exponential(t, (v16d)0.0, -40.0);
  v16d far = scaled(joined((v16d)1.0, p), p.n - 1);
  return with_sign_of_double(choose_double(t < 22.0, near, far), x);
}

INLINE v16d hyperbolic_cosine_double(v16d x) {
  v16d t = absolute_double(x);
  exponential_parts p = split_exponential(t, (v16d)0.0, -40.0);
  v16d one = joined((v16d)1.0, p);
  v16d far = scaled(one, p.n - 1);
  return choose_double(t < 22.0, far + 0.25 / far, far);
}

/// (1 - w) / (1 + w), w = e^-2|x|.
INLINE v16d hyperbolic_tangent_double(v16d x) {
  v16d t = absolute_double(x);
  v16d e = exponential_minus_one(-2.0 * t);
  v16d far = 1.0 - 2.0 * (e + 1.0) / (e + 2.0);
  return with_sign_of_double(choose_double(t < 0.55, -e / (e + 2.0), far), x);
}

INLINE v16d inverse_hyperbolic_sine_double(v16d x) {
  v16d t = absolute_double(x);
  v16l large = t > 0x1p28;
  v16d bounded = choose_double(large, (v16d)1.0, t);
  v16d square = bounded * bounded;
  v16d near = logarithm_of_one_plus(bounded + square / (1.0 + __builtin_elementwise_sqrt(square + 1.0)));
  v16d far = logarithm_double(t) + 0x1.62e42fefa39efp-1;
  return with_sign_of_double(choose_double(large, far, near), x);
}

INLINE v16d inverse_hyperbolic_cosine_double(v16d x) {
  v16l large = x > 0x1p28;
  v16d t = choose_double(large, (v16d)1.0, x - 1.0);
  v16d near = logarithm_of_one_plus(t + __builtin_elementwise_sqrt(fused_double(t, t, 2.0 * t)));
  v16d far = logarithm_double(x) + 0x1.62e42fefa39efp-1;
  return choose_double(x < 1.0, (v16d)(double)NAN, choose_double(large, far, near));
}

INLINE v16d inverse_hyperbolic_tangent_double(v16d x) {
  v16d t = absolute_double(x);
  v16d result = 0.5 * logarithm_of_one_plus(2.0 * t / (1.0 - t));
  v16d twice = t + t;
  v16d near = 0.5 * logarithm_of_one_plus(twice + twice * t / (1.0 - t));
  return with_sign_of_double(choose_double(t < 0.5, near, result), x);
}

// MARK: Error function and activations

static const double error_terms[] = {
  0x1.06eba8214db69p-3, -0x1.812746b0379e7p-2, 0x1.ce2f21a042be2p-4, -0x1.b82ce31288b47p-6, 0x1.565bcd0e6a2eep-8,
  -0x1.c02db40035f1ep-11, 0x1.f9a326f7ac5b1p-14, -0x1.f4d25bf9af03ap-17, 0x1.b9e6c38e5cf3dp-20, -0x1.5f73c3bf14b91p-23,
  0x1.fcbb312b48443p-27, -0x1.517ce02f1265fp-30, 0x1.9a0fcb5e22c5bp-34, -0x1.b40e7abf9f000p-38, 0x1.3c01fd3a74542p-42,
};
static const double complement_terms[] = {
  0x1.3ba5916e9fd7fp+0, -0x1.1df1ad154a286p-3, 0x1.f7f5df66fd797p-7, 0x1.16ecefcfa4d10p-4, -0x1.9ddb23c3e8f13p-4,
  0x1.7fee004e1eefep-4, -0x1.0fb06dfe4c6c0p-4, 0x1.3079edf5181dfp-5, -0x1.09623884747dbp-6, 0x1.49c672e199469p-8,
  -0x1.8d4a9a6465372p-11, -0x1.a1df5e81f57b4p-13, 0x1.3be0432bfa860p-13, -0x1.99537515467bep-16,
  -0x1.7884d2487d5efp-17, 0x1.7ef644c7815aap-18, 0x1.393f4d359a7fcp-22, -0x1.b8ce493292da4p-21, 0x1.4dcd6b6d85458p-24,
  0x1.c8a212189b420p-24, -0x1.64110b1736fc2p-26, -0x1.a7f4a11380e65p-27, 0x1.bc41def3d5cfcp-29, 0x1.ff247156a5379p-31,
  -0x1.2feb115e1104cp-32,
};

/// e^(t²) · erfc t for t >= 0: a polynomial of (t - 4) / (t + 4), over 1 + 2t.
INLINE v16d scaled_complement(v16d t) {
  return polynomial((t - 4.0) / (t + 4.0), complement_terms, 24) / fused_double(t, (v16d)2.0, (v16d)1.0);
}

INLINE v16d error_function_double(v16d x) {
  v16d t = absolute_double(x);
  v16d z = x * x;
  v16d near = fused_double(x, polynomial(z, error_terms, 14), x);
  v16d bounded = choose_double(t > 7.0, (v16d)7.0, t);
  v16d square = bounded * bounded;
  v16d complement =
    exponential_of_sum(-square, -fused_double(bounded, bounded, -square)) * scaled_complement(bounded);
  return with_sign_of_double(choose_double(t < 1.0, near, 1.0 - complement), x);
}

/// The functions x · g(x) with g(-∞) = 0 give NaN for -∞, as their formulas do.
INLINE v16d without_limit(v16d x, v16d result) {
  return choose_double(x == (double)-INFINITY, (v16d)(double)NAN, result);
}

/// x · Φ(x) = max(x, 0) - |x| · erfc(|x| / √2) / 2
INLINE v16d gelu_erf_double(v16d x) {
  v16d t = absolute_double(x);
  v16d bounded = choose_double(t > 40.0, (v16d)40.0, t);
  v16d square = bounded * bounded;
  exponential_parts e = split_exponential(-0.5 * square, -0.5 * fused_double(bounded, bounded, -square), -900.0);
  v16d tail = scaled(0.5 * bounded * scaled_complement(bounded * 0x1.6a09e667f3bcdp-1) * joined((v16d)1.0, e), e.n);
  v16d result = choose_double(x > 0.0, x, (v16d)-0.0) - tail;
  return without_limit(x, choose_double(x == 0.0, x, result));
}

/// x / (1 + e^-(a + low)): for negative a as x · e^a / (1 + e^a), whose numerator is scaled last. From -1400 on it is 0,
/// which holds for |x| <= |a| · 2^1000.
INLINE v16d gated(v16d x, v16d a, v16d low) {
  v16l negative = a < 0.0;
  x = choose_double(a < -1400.0, x * 0.0, x);
  v16d t = -absolute_double(a);
  exponential_parts e = split_exponential(t, negated_where(~negative, low), -1400.0);
  v16d power = joined((v16d)1.0, e);
  v16d below = 1.0 + scaled(power, e.n);
  v16d above = choose_double(negative, x * power, x);
  v16l n = (v16l)choose_double(negative, (v16d)e.n, (v16d)(v16l)0);
  return scaled(above / below, n);
}

INLINE v16d sigmoid_double(v16d x) { return gated((v16d)1.0, x, (v16d)0.0); }
INLINE v16d silu_double(v16d x) { return without_limit(x, gated(x, x, (v16d)0.0)); }
INLINE v16d quick_gelu_double(v16d x) {
  v16d a = 1.702 * x;
  v16d low = fused_double((v16d)1.702, x, -a);
  return without_limit(x, gated(x, a, choose_double(absolute_double(a) < 1000.0, low, (v16d)0.0)));
}

/// x / (1 + e^-a), a = √(8/π) · (x + 0.044715·x³) as a sum of two doubles.
INLINE v16d gelu_tanh_double(v16d x) {
  v16d bounded = choose_double(absolute_double(x) > 64.0, with_sign_of_double((v16d)64.0, x), x);
  v16d square = bounded * bounded;
  v16d square_low = fused_double(bounded, bounded, -square);
  v16d m = square * 0x1.2444f2a4d8b4bp-4;
  v16d m_low = fused_double(square, (v16d)0x1.2444f2a4d8b4bp-4, -m)
    + fused_double(square_low, (v16d)0x1.2444f2a4d8b4bp-4, square * -0x1.6c843a29d1c70p-61);
  v16d rest, w = exact_sum((v16d)0x1.9884533d43651p+0, m, &rest);
  rest = rest + (m_low - 0x1.cbc0d30ebfd15p-54);
  v16d a = bounded * w;
  return without_limit(x, gated(x, a, fused_double(bounded, w, -a) + bounded * rest));
}

INLINE v16d softplus_double(v16d x) {
  v16d tail = logarithm_of_one_plus(exponential_double(-absolute_double(x)));
  return choose_double(x > 0.0, x, (v16d)0.0) + tail;
}

/// x · tanh(log(1 + e^x)) = x · w·(w + 2) / (w·(w + 2) + 2), w = e^x; for positive x both are divided by w².
INLINE v16d mish_double(v16d x) {
  v16d given = x;
  v16l negative = x < 0.0;
  exponential_parts e = split_exponential(-absolute_double(x), (v16d)0.0, -1400.0);
  v16d power = joined((v16d)1.0, e);
  x = choose_double(x < -1400.0, x * 0.0, x);
  v16d w = scaled(power, e.n);
  v16d positive = x * fused_double((v16d)2.0, w, (v16d)1.0) / fused_double(2.0 * w, w + 1.0, (v16d)1.0);
  v16d falling = x * power * (w + 2.0) / fused_double(w, w + 2.0, (v16d)2.0);
  return without_limit(given, choose_double(negative, scaled(falling, e.n), positive));
}
