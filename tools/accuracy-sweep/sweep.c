// Largest errors of the elementwise kernels: float32 over all inputs, double over random ones of every exponent.
//
// References: for float32 the system's vectorised double functions (at most 4 units of the last double place), for
// double the 113-bit functions of libquadmath.
#include "CTensorKernels.h"

#include <immintrin.h>
#include <math.h>
#include <quadmath.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AVX2 __attribute__((target("avx2,fma")))
typedef __m256d D;
#define VECTOR(NAME) D _ZGVdN4v_##NAME(D);
VECTOR(exp) VECTOR(log) VECTOR(sin) VECTOR(cos) VECTOR(erf) VECTOR(erfc) VECTOR(tanh) VECTOR(tan) VECTOR(asin)
VECTOR(acos) VECTOR(atan) VECTOR(sinh) VECTOR(cosh) VECTOR(asinh) VECTOR(acosh) VECTOR(atanh) VECTOR(expm1) VECTOR(log1p)
#define CALL(NAME) AVX2 static D v_##NAME(D x) { return _ZGVdN4v_##NAME(x); }
CALL(exp) CALL(log) CALL(sin) CALL(cos) CALL(erf) CALL(tanh) CALL(tan) CALL(asin) CALL(acos) CALL(atan) CALL(sinh)
CALL(cosh) CALL(asinh) CALL(acosh) CALL(atanh) CALL(expm1) CALL(log1p)
#define E _ZGVdN4v_exp
AVX2 static D gate(D x, D a) { return x / (1 + E(-a)); }
AVX2 static D v_reciprocal(D x) { return 1 / x; }
AVX2 static D v_sqrt(D x) { return _mm256_sqrt_pd(x); }
AVX2 static D v_sigmoid(D x) { return gate(_mm256_set1_pd(1), x); }
AVX2 static D v_gelu(D x) { return 0.5 * x * _ZGVdN4v_erfc(x * -0x1.6a09e667f3bcdp-1); }
AVX2 static D v_gelu_tanh(D x) { return gate(x, 0x1.9884533d43651p+0 * (x + 0.044715 * x * x * x)); }
AVX2 static D v_silu(D x) { return gate(x, x); }
AVX2 static D v_quick(D x) { return gate(x, 1.702 * x); }
AVX2 static D v_absolute(D x) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), x); }
AVX2 static D v_softplus(D x) {
  return _mm256_max_pd(x, _mm256_setzero_pd()) + _ZGVdN4v_log1p(E(-v_absolute(x)));
}
AVX2 static D v_mish(D x) {
  D w = E(-v_absolute(x));
  D plus = x * (1 + 2 * w) / (1 + 2 * w + 2 * w * w), minus = x * w * (w + 2) / (w * (w + 2) + 2);
  return _mm256_blendv_pd(plus, minus, x);
}

typedef __float128 Q;
static Q q_reciprocal(Q x) { return 1 / x; }
static Q q_sigmoid(Q x) { return 1 / (1 + expq(-x)); }
static Q q_gelu(Q x) { return x * erfcq(-x / sqrtq(2)) / 2; }
static Q q_gelu_tanh(Q x) { return x / (1 + expq(-sqrtq(8 / M_PIq) * (x + 0.044715Q * x * x * x))); }
static Q q_silu(Q x) { return x / (1 + expq(-x)); }
static Q q_quick(Q x) { return x / (1 + expq(-(Q)1.702 * x)); }
static Q q_softplus(Q x) { return (x > 0 ? x : 0) + log1pq(expq(-fabsq(x))); }
static Q q_mish(Q x) {
  Q w = expq(-fabsq(x));
  return x < 0 ? x * w * (w + 2) / (w * (w + 2) + 2) : x * (1 + 2 * w) / (1 + 2 * w + 2 * w * w);
}

static const struct {
  const char *name;
  int operation;
  D (*single)(D);
  Q (*wide)(Q);
} functions[] = {
  {"exponential", POLLARD_EXP, v_exp, expq}, {"exponentialMinusOne", POLLARD_EXPM1, v_expm1, expm1q},
  {"logarithm", POLLARD_LOG, v_log, logq}, {"logarithmOfOnePlus", POLLARD_LOG1P, v_log1p, log1pq},
  {"squareRoot", POLLARD_SQUARE_ROOT, v_sqrt, sqrtq}, {"reciprocal", POLLARD_RECIPROCAL, v_reciprocal, q_reciprocal},
  {"sine", POLLARD_SIN, v_sin, sinq}, {"cosine", POLLARD_COS, v_cos, cosq}, {"tangent", POLLARD_TAN, v_tan, tanq},
  {"arcsine", POLLARD_ASIN, v_asin, asinq}, {"arccosine", POLLARD_ACOS, v_acos, acosq},
  {"arctangent", POLLARD_ATAN, v_atan, atanq}, {"hyperbolicSine", POLLARD_SINH, v_sinh, sinhq},
  {"hyperbolicCosine", POLLARD_COSH, v_cosh, coshq}, {"hyperbolicTangent", POLLARD_TANH, v_tanh, tanhq},
  {"inverseHyperbolicSine", POLLARD_ASINH, v_asinh, asinhq},
  {"inverseHyperbolicCosine", POLLARD_ACOSH, v_acosh, acoshq},
  {"inverseHyperbolicTangent", POLLARD_ATANH, v_atanh, atanhq}, {"errorFunction", POLLARD_ERF, v_erf, erfq},
  {"sigmoid", POLLARD_SIGMOID, v_sigmoid, q_sigmoid}, {"geluExact", POLLARD_GELU_ERF, v_gelu, q_gelu},
  {"geluTanh", POLLARD_GELU_TANH, v_gelu_tanh, q_gelu_tanh}, {"silu", POLLARD_SILU, v_silu, q_silu},
  {"quickGelu", POLLARD_QUICK_GELU, v_quick, q_quick}, {"softplus", POLLARD_SOFTPLUS, v_softplus, q_softplus},
  {"mish", POLLARD_MISH, v_mish, q_mish},
};

static double single_ulps(float found, double exact) {
  float nearest = (float)exact;
  if (found == nearest || (found != found && exact != exact)) return 0;
  if (!isfinite(found) || !isfinite(exact) || found != found) return INFINITY;
  double magnitude = fabs(exact) < 0x1p-126 ? 0x1p-126 : fabs(exact);
  if (magnitude >= 0x1.fffffffp127) return isinf(found) || fabsf(found) == 0x1.fffffep127f ? 0 : INFINITY;
  return fabs((double)found - exact) / scalbn(1.0, ilogb(magnitude) - 23);
}

AVX2 static double sweep_single(int f, unsigned step, float *worst_at) {
  enum { count = 4096 };
  static float x[count], y[count];
  static double exact[count];
  double worst = 0;
  unsigned long long next = 0;
  while (next < 1ULL << 32) {
    int filled = 0;
    for (; filled < count && next < 1ULL << 32; next += step) {
      unsigned bits = (unsigned)next;
      memcpy(x + filled++, &bits, 4);
    }
    for (int i = filled; i < count; i++) x[i] = 1;
    pollard_unary_f32(functions[f].operation, 1, count, x, count, y, count);
    for (int i = 0; i < count; i += 4)
      _mm256_storeu_pd(exact + i, functions[f].single(_mm256_cvtps_pd(_mm_loadu_ps(x + i))));
    for (int i = 0; i < filled; i++) {
      // e^x below 2^-126 is +0 by contract; x · g(x) at -∞ is NaN.
      if (functions[f].operation == POLLARD_EXP && x[i] < -0x1.5d589ep+6f) continue;
      if (x[i] == -INFINITY && y[i] != y[i]) continue;
      if (y[i] == (float)exact[i]) continue;
      double distance = single_ulps(y[i], exact[i]);
      if (distance > worst) worst = distance, *worst_at = x[i];
    }
  }
  return worst;
}

static double double_ulps(double found, Q exact) {
  double nearest = (double)exact;
  if (found == nearest || (found != found && nearest != nearest)) return 0;
  if (!isfinite(found) || !isfinite(nearest)) {
    Q magnitude = fabsq(exact);
    return isinf(found) && magnitude > 0x1.fffffffffffffp1023Q ? 0 : INFINITY;
  }
  Q magnitude = fabsq(exact) < 0x1p-1022Q ? 0x1p-1022Q : fabsq(exact);
  return (double)(fabsq((Q)found - exact) / scalbnq(1, ilogbq(magnitude) - 52));
}

static unsigned long long state = 1;
static unsigned long long random_bits(void) {
  state += 0x9e3779b97f4a7c15ULL;
  unsigned long long z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// A third over all exponents, two thirds where functions bend.
static double random_double(int index) {
  unsigned long long bits = random_bits();
  double x;
  memcpy(&x, &bits, 8);
  double unit = (double)(random_bits() >> 11) * 0x1p-53 * 2 - 1;
  switch (index % 6) {
  case 0: case 1: return x == x ? x : 1;
  case 2: return unit;
  case 3: return unit * 4;
  case 4: return unit * 50;
  default: return unit * 760;
  }
}

static double sweep_double(int f, long count, double *worst_at) {
  double worst = 0;
  for (long i = 0; i < count; i += 16) {
    double x[16], y[16];
    for (int j = 0; j < 16; j++) x[j] = random_double((int)(i + j));
    pollard_unary_f64(functions[f].operation, 16, x, y);
    for (int j = 0; j < 16; j++) {
      if (isinf(x[j])) continue;
      double distance = double_ulps(y[j], functions[f].wide(x[j]));
      if (distance > worst) worst = distance, *worst_at = x[j];
    }
  }
  return worst;
}

static double sweep_power(long count, int single, double worst_at[2]) {
  double worst = 0;
  for (long i = 0; i < count; i++) {
    double x = fabs(random_double((int)i)), y = random_double((int)(i / 6) % 6), z;
    if (i % 2) y = (double)(random_bits() >> 11) * 0x1p-52 * 700 / (fabs(log(x)) + 1e-300) - 350 / (fabs(log(x)) + 1e-300);
    if (single) {
      float xf = (float)x, yf = (float)y, zf;
      pollard_operand a = {&xf, 0, 0}, b = {&yf, 0, 0};
      if (!isfinite(xf) || !isfinite(yf)) continue;
      pollard_binary_f32(POLLARD_POWER, 1, 1, a, b, &zf, 1);
      double distance = single_ulps(zf, (double)powq(xf, yf));
      if (distance > worst) worst = distance, worst_at[0] = xf, worst_at[1] = yf;
    } else {
      if (!isfinite(x) || !isfinite(y)) continue;
      pollard_power_f64(1, &x, &y, &z);
      double distance = double_ulps(z, powq(x, y));
      if (distance > worst) worst = distance, worst_at[0] = x, worst_at[1] = y;
    }
  }
  return worst;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void time_all(void) {
  enum { count = 4096 };
  static float x[count], y[count];
  static double xd[count], yd[count];
  for (int i = 0; i < count; i++) xd[i] = x[i] = (float)((i % 1000) / 100.0 - 5.005);
  for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
    double best = 1, best_double = 1;
    for (int pass = 0; pass < 30; pass++) {
      double a = now();
      for (int i = 0; i < 10; i++) pollard_unary_f32(functions[f].operation, 1, count, x, count, y, count);
      double b = now();
      for (int i = 0; i < 10; i++) pollard_unary_f64(functions[f].operation, count, xd, yd);
      double c = now();
      if (b - a < best) best = b - a;
      if (c - b < best_double) best_double = c - b;
    }
    printf("%-26s %7.2f ns %7.2f ns\n", functions[f].name, best / count / 10 * 1e9, best_double / count / 10 * 1e9);
  }
}

/// sweep STEP COUNT [NAME]: float32 in steps of STEP bit patterns (1: all), COUNT doubles. sweep time.
int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "time") == 0) return time_all(), 0;
  unsigned step = argc > 1 ? (unsigned)atol(argv[1]) : 1;
  long count = argc > 2 ? atol(argv[2]) : 300000;
  for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
    if (argc > 3 && strcmp(argv[3], functions[f].name)) continue;
    float single_at = 0;
    double double_at = 0;
    double single = sweep_single((int)f, step, &single_at), wide = sweep_double((int)f, count, &double_at);
    printf("%s %.4f %a %.4f %a\n", functions[f].name, single, single_at, wide, double_at);
    fflush(stdout);
  }
  if (argc > 3 && strcmp(argv[3], "power")) return 0;
  double a[2], b[2];
  double single = sweep_power(count * 8, 1, a), wide = sweep_power(count * 2, 0, b);
  printf("power %.4f %a,%a %.4f %a,%a\n", single, a[0], a[1], wide, b[0], b[1]);
}
