// Vectors of 16 elements and the few operations on them.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))

typedef float v16f __attribute__((ext_vector_type(16)));
typedef float v8f __attribute__((ext_vector_type(8)));
typedef float v4f __attribute__((ext_vector_type(4)));
typedef float v2f __attribute__((ext_vector_type(2)));
typedef double v16d __attribute__((ext_vector_type(16)));
typedef int64_t v16l __attribute__((ext_vector_type(16)));
typedef int32_t v16i __attribute__((ext_vector_type(16)));
typedef uint32_t v16u __attribute__((ext_vector_type(16)));
typedef uint16_t v16h __attribute__((ext_vector_type(16)));
typedef uint8_t v16b __attribute__((ext_vector_type(16)));

INLINE v16f load(const float *p) {
  v16f v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, v16f v) { memcpy(p, &v, sizeof v); }

/// The first `count` (at most 16) floats, then `fill`.
INLINE v16f load_some(const float *p, size_t count, float fill) {
  if (count >= 16) return load(p);
  float padded[16];
  store(padded, (v16f)fill);
  for (size_t i = 0; i < count; i++) padded[i] = p[i];
  return load(padded);
}

INLINE void store_some(float *p, v16f v, size_t count) {
  if (count >= 16) {
    store(p, v);
    return;
  }
  float padded[16];
  store(padded, v);
  for (size_t i = 0; i < count; i++) p[i] = padded[i];
}

/// a · b + c, rounded once.
INLINE v16f fused(v16f a, v16f b, v16f c) { return __builtin_elementwise_fma(a, b, c); }
INLINE v16d fused_double(v16d a, v16d b, v16d c) { return __builtin_elementwise_fma(a, b, c); }

/// Lane by lane `mask ? a : b`; each lane of the mask is all ones or all zeros.
INLINE v16f choose(v16i mask, v16f a, v16f b) { return (v16f)((mask & (v16i)a) | (~mask & (v16i)b)); }
INLINE v16i choose_int(v16i mask, v16i a, v16i b) { return (mask & a) | (~mask & b); }
INLINE v16d choose_double(v16l mask, v16d a, v16d b) { return (v16d)((mask & (v16l)a) | (~mask & (v16l)b)); }

INLINE v16f absolute(v16f x) { return (v16f)((v16i)x & 0x7fffffff); }
INLINE v16f with_sign_of(v16f magnitude, v16f sign) {
  return (v16f)(((v16i)magnitude & 0x7fffffff) | ((v16i)sign & (int32_t)0x80000000));
}

/// Maximum and minimum that are NaN if either operand is.
INLINE v16f maximum(v16f a, v16f b) { return choose((a > b) | (a != a), a, b); }
INLINE v16f minimum(v16f a, v16f b) { return choose((a < b) | (a != a), a, b); }

/// Sum of the 16 lanes, folded 8-4-2-1.
INLINE float fold_sum(v16f v) {
  v8f a = v.lo + v.hi;
  v4f b = a.lo + a.hi;
  v2f c = b.lo + b.hi;
  return c.x + c.y;
}

INLINE float scalar_maximum(float a, float b) { return a > b || a != a ? a : b; }
INLINE float scalar_minimum(float a, float b) { return a < b || a != a ? a : b; }

INLINE float fold_maximum(v16f v) {
  float lanes[16];
  store(lanes, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = scalar_maximum(lanes[i], lanes[i + width]);
  return lanes[0];
}

INLINE float fold_minimum(v16f v) {
  float lanes[16];
  store(lanes, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = scalar_minimum(lanes[i], lanes[i + width]);
  return lanes[0];
}
