// Comparison of two buffers of float32 or of doubles.

#include "CTensorKernels.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/// `rank`: the position of a finite value among all of its type in ascending order; both zeros share one.
#define COMPARE(NAME, TYPE, BITS, MAXIMUM, EXPONENT)                                     \
  static BITS NAME##_bits(TYPE x) {                                                      \
    BITS bits;                                                                           \
    memcpy(&bits, &x, sizeof bits);                                                      \
    return bits;                                                                         \
  }                                                                                      \
  static BITS NAME##_rank(TYPE x) {                                                      \
    BITS bits = NAME##_bits(x);                                                          \
    return bits < 0 ? -(bits & MAXIMUM) : bits;                                          \
  }                                                                                      \
  static int NAME##_finite(TYPE x) { return (NAME##_bits(x) & EXPONENT) != EXPONENT; }   \
                                                                                         \
  pollard_comparison NAME(const TYPE *a, const TYPE *b, size_t count) {                  \
    pollard_comparison result = {.first_differing = count};                              \
    for (size_t i = 0; i < count; i++) {                                                 \
      TYPE x = a[i], y = b[i];                                                           \
      if (NAME##_finite(x) && NAME##_finite(y)) {                                        \
        double xd = x, yd = y;                                                           \
        result.dot_ab += xd * yd;                                                        \
        result.dot_aa += xd * xd;                                                        \
        result.dot_bb += yd * yd;                                                        \
        double magnitude = fabs(xd);                                                     \
        if (magnitude > result.max_reference) result.max_reference = magnitude;          \
        if (x == y) {                                                                    \
          if (x == 0 && signbit(x) != signbit(y)) result.sign_differences++;             \
          continue;                                                                      \
        }                                                                                \
        double distance = fabs(xd - yd);                                                 \
        if (distance > result.max_absolute) result.max_absolute = distance;              \
        int64_t p = NAME##_rank(x), q = NAME##_rank(y);                                  \
        uint64_t ulp = p > q ? (uint64_t)p - (uint64_t)q : (uint64_t)q - (uint64_t)p;    \
        if (ulp > result.max_ulp) result.max_ulp = ulp;                                  \
      } else {                                                                           \
        if (x == y || (x != x && y != y)) continue;                                      \
        result.nonfinite_mismatches++;                                                   \
      }                                                                                  \
      if (result.differing++ == 0) result.first_differing = i;                           \
    }                                                                                    \
    return result;                                                                       \
  }

COMPARE(pollard_compare_f32, float, int32_t, INT32_MAX, 0x7f800000)
COMPARE(pollard_compare_f64, double, int64_t, INT64_MAX, 0x7ff0000000000000)
