// Reduction of large angles after Payne and Hanek 1983: the product with the bits of 2/π that matter, in integers.

#include "angles.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/// The bits of 2/π behind the point.
static const uint64_t two_over_pi[20] = {
  0xa2f9836e4e441529ULL, 0xfc2757d1f534ddc0ULL, 0xdb6295993c439041ULL, 0xfe5163abdebbc561ULL, 0xb7246e3a424dd2e0ULL,
  0x06492eea09d1921cULL, 0xfe1deb1cb129a73eULL, 0xe88235f52ebb4484ULL, 0xe99c7026b45f7e41ULL, 0x3991d639835339f4ULL,
  0x9c845f8bbdf9283bULL, 0x1ff897ffde05980fULL, 0xef2f118b5a0a6d1fULL, 0x6d367ecf27cb09b7ULL, 0x4f463f669e5fea2dULL,
  0x7527bac7ebe5f17bULL, 0x3d0739f78a5292eaULL, 0x6bfb5fb11f8d5d08ULL, 0x56033046fc7b6babULL, 0xf0cfbc209af4361dULL,
};

static uint64_t bits_from(int skip) {
  int word = skip / 64, shift = skip % 64;
  return shift == 0 ? two_over_pi[word] : two_over_pi[word] << shift | two_over_pi[word + 1] >> (64 - shift);
}

static double power_of_two(int exponent) {
  uint64_t bits = (uint64_t)(exponent + 1023) << 52;
  double result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

void pollard_reduce_large_angle(double x, double *high, double *low, int64_t *quadrant) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int biased = (int)(bits >> 52) & 0x7ff;
  *quadrant = 0;
  *high = *low = NAN;
  if (biased == 0x7ff || biased < 1023 + 20) return;
  uint64_t m = (bits & 0x000fffffffffffffULL) | 0x0010000000000000ULL;
  int exponent = biased - 1075;
  // x = m · 2^exponent. Bits of 2/π whose products are multiples of 4 are left out; 192 of the rest suffice.
  int skip = exponent > 2 ? exponent - 2 : 0;
  int fraction_bits = 192 - (exponent - skip);
  typedef unsigned __int128 wide;
  wide p2 = (wide)m * bits_from(skip + 128), p1 = (wide)m * bits_from(skip + 64), p0 = (wide)m * bits_from(skip);
  uint64_t w[4];
  w[0] = (uint64_t)p2;
  wide sum = (p2 >> 64) + (uint64_t)p1;
  w[1] = (uint64_t)sum;
  sum = (sum >> 64) + (p1 >> 64) + (uint64_t)p0;
  w[2] = (uint64_t)sum;
  w[3] = (uint64_t)((sum >> 64) + (p0 >> 64));
  // Two bits for the quadrant on top, the fraction of a quarter turn behind them.
  int shift = 254 - fraction_bits;
  uint64_t f[4];
  for (int i = 3; i >= 0; i--) {
    int from = i - shift / 64, rest = shift % 64;
    uint64_t upper = from >= 0 ? w[from] : 0, lower = from >= 1 ? w[from - 1] : 0;
    f[i] = rest == 0 ? upper : upper << rest | lower >> (64 - rest);
  }
  int64_t q = (int64_t)(f[3] >> 62);
  for (int i = 3; i > 0; i--) f[i] = f[i] << 2 | f[i - 1] >> 62;
  f[0] <<= 2;
  int negative = f[3] >> 63 != 0;
  if (negative) {
    q++;
    uint64_t carry = 1;
    for (int i = 0; i < 4; i++) {
      f[i] = ~f[i] + carry;
      carry = carry && f[i] == 0;
    }
  }
  int zeros = 0;
  while (zeros < 192 && f[3] >> 63 == 0) {
    for (int i = 3; i > 0; i--) f[i] = f[i] << 1 | f[i - 1] >> 63;
    f[0] <<= 1;
    zeros++;
  }
  double a = (double)(f[3] & ~0x7ffULL) * power_of_two(-64);
  double b = (double)((f[3] & 0x7ff) << 53 | f[2] >> 11) * power_of_two(-117);
  const double quarter = 0x1.921fb54442d18p+0, quarter_low = 0x1.1a62633145c07p-54;
  double h = a * quarter;
  double l = __builtin_fma(a, quarter, -h);
  l = l + __builtin_fma(a, quarter_low, b * quarter);
  double scale = power_of_two(-zeros);
  if (negative != (x < 0)) scale = -scale;
  *high = (h + l) * scale;
  *low = ((h - (h + l)) + l) * scale;
  *quadrant = x < 0 ? -q : q;
}
