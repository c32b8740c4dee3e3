// Packing of blocks of 32 with one scale, or one scale and one minimum.
#pragma once

#define PACK(NAME, BYTES, ELEMENTS)                                                            \
  INLINE void NAME##_block(const float *x, uint8_t *b);                                        \
  static void NAME(const float *x, uint8_t *b, size_t count) {                                 \
    for (size_t i = 0; i < count; i++, b += BYTES, x += ELEMENTS) NAME##_block(x, b);          \
  }                                                                                            \
  INLINE void NAME##_block(const float *x, uint8_t *b)

/// The low byte of each number truncated towards zero; numbers that no 32-bit integer holds, and NaN, give 0.
INLINE v16i truncated(v16f x) {
  v16i held = absolute(x) < 0x1p31f;
  return __builtin_convertvector((v16f)((v16i)x & held), v16i) << 24 >> 24;
}

/// Rounds numbers below 2^22 to the nearest integer, half away from zero, as `truncated` does with larger ones.
INLINE v16i rounded_away(v16f x) { return truncated(x + with_sign_of((v16f)0x1.fffffep-2f, x)); }

INLINE v16i at_most(v16i x, int32_t most) { return choose_int(x > most, (v16i)most, x); }
INLINE v16b low_bytes(v16i x) { return __builtin_convertvector((v16u)x, v16b); }

INLINE float most_of(v16f v) {
  v8f a = v.lo, b = v.hi;
  v8i m = a > b;
  a = (v8f)((m & (v8i)a) | (~m & (v8i)b));
  float lanes[8], most;
  memcpy(lanes, &a, sizeof lanes);
  float p = lanes[0] > lanes[4] ? lanes[0] : lanes[4], q = lanes[1] > lanes[5] ? lanes[1] : lanes[5];
  float r = lanes[2] > lanes[6] ? lanes[2] : lanes[6], s = lanes[3] > lanes[7] ? lanes[3] : lanes[7];
  p = p > q ? p : q;
  r = r > s ? r : s;
  most = p > r ? p : r;
  return most;
}

INLINE v16f larger_of(v16f a, v16f b) { return choose(a > b, a, b); }

/// The number of largest magnitude; the first of those.
INLINE float first_of_largest_magnitude(const float *x, int count) {
  v16f high = load(x), low = -high;
  for (int i = 16; i < count; i += 16) {
    high = larger_of(high, load(x + i));
    low = larger_of(low, -load(x + i));
  }
  float most = most_of(high), least = most_of(low);
  if (most > least) return most;
  if (least > most) return -least;
  if (most == 0) return 0;
  for (int i = 0; i < count; i++)
    if (x[i] == most || x[i] == -most) return x[i];
  return most;
}

INLINE float largest_magnitude(const float *x, int count) {
  v16f most = absolute(load(x));
  for (int i = 16; i < count; i += 16) most = larger_of(most, absolute(load(x + i)));
  return most_of(most);
}

/// The smallest and the largest number, each the first of its equals: zeros of both signs are equal.
INLINE void first_range(const float *x, float *least, float *most) {
  v16f a = load(x), b = load(x + 16);
  *most = most_of(larger_of(a, b));
  *least = -most_of(larger_of(-a, -b));
  if (*least != 0) return;
  for (int i = 0; i < 32; i++)
    if (x[i] == 0) {
      *least = x[i];
      break;
    }
  if (*most == 0) *most = *least;
}

/// Bit `lane` of the result is bit 4 of the lane.
INLINE uint32_t fifth_bits(v16i codes) {
  const v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (uint32_t)__builtin_reduce_or(((codes >> 4) & 1) << lane);
}

INLINE void store_word(uint8_t *p, uint32_t word) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(word >> (8 * i));
}

INLINE float reciprocal(float d) { return d != 0 ? 1.0f / d : 0.0f; }

PACK(pack_q8_0, 34, 32) {
  float d = largest_magnitude(x, 32) / 127.0f, inverse = reciprocal(d);
  store_half(b, d);
  store_bytes(b + 2, low_bytes(rounded_away(load(x) * inverse)));
  store_bytes(b + 18, low_bytes(rounded_away(load(x + 16) * inverse)));
}

PACK(pack_q4_0, 18, 32) {
  float d = first_of_largest_magnitude(x, 32) / -8.0f, inverse = reciprocal(d);
  store_half(b, d);
  v16i low = at_most(truncated(load(x) * inverse + 8.5f), 15);
  v16i high = at_most(truncated(load(x + 16) * inverse + 8.5f), 15);
  store_bytes(b + 2, low_bytes(low | high << 4));
}

PACK(pack_q5_0, 22, 32) {
  float d = first_of_largest_magnitude(x, 32) / -16.0f, inverse = reciprocal(d);
  store_half(b, d);
  v16i low = at_most(truncated(load(x) * inverse + 16.5f), 31);
  v16i high = at_most(truncated(load(x + 16) * inverse + 16.5f), 31);
  store_word(b + 2, fifth_bits(low) | fifth_bits(high) << 16);
  store_bytes(b + 6, low_bytes((low & 15) | (high & 15) << 4));
}

PACK(pack_q4_1, 20, 32) {
  float least, most;
  first_range(x, &least, &most);
  float d = (most - least) / 15.0f, inverse = reciprocal(d);
  store_half(b, d);
  store_half(b + 2, least);
  v16i low = at_most(truncated((load(x) - least) * inverse + 0.5f), 15);
  v16i high = at_most(truncated((load(x + 16) - least) * inverse + 0.5f), 15);
  store_bytes(b + 4, low_bytes(low | high << 4));
}

PACK(pack_q5_1, 24, 32) {
  float least, most;
  first_range(x, &least, &most);
  float d = (most - least) / 31.0f, inverse = reciprocal(d);
  store_half(b, d);
  store_half(b + 2, least);
  v16i low = truncated((load(x) - least) * inverse + 0.5f);
  v16i high = truncated((load(x + 16) - least) * inverse + 0.5f);
  store_word(b + 4, fifth_bits(low) | fifth_bits(high) << 16);
  store_bytes(b + 8, low_bytes((low & 15) | (high & 15) << 4));
}
