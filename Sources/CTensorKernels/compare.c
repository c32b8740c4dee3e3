// Comparison of two float32 buffers.

#include "CTensorKernels.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

/// The position of a finite value among all float32 values in ascending order; both zeros share one.
static int64_t rank_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
}

static int is_finite(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7f800000u) != 0x7f800000u;
}

pollard_comparison pollard_compare_f32(const float *a, const float *b, size_t count) {
  pollard_comparison result = {.first_differing = count};
  for (size_t i = 0; i < count; i++) {
    float x = a[i], y = b[i];
    if (is_finite(x) && is_finite(y)) {
      double xd = x, yd = y;
      result.dot_ab += xd * yd;
      result.dot_aa += xd * xd;
      result.dot_bb += yd * yd;
      double magnitude = fabs(xd);
      if (magnitude > result.max_reference) result.max_reference = magnitude;
      if (x == y) {
        if (x == 0 && signbit(x) != signbit(y)) result.sign_differences++;
        continue;
      }
      double distance = fabs(xd - yd);
      if (distance > result.max_absolute) result.max_absolute = distance;
      int64_t steps = rank_of(x) - rank_of(y);
      uint64_t ulp = (uint64_t)(steps < 0 ? -steps : steps);
      if (ulp > result.max_ulp) result.max_ulp = ulp;
    } else {
      if (x == y || (x != x && y != y)) continue;
      result.nonfinite_mismatches++;
    }
    if (result.differing++ == 0) result.first_differing = i;
  }
  return result;
}
