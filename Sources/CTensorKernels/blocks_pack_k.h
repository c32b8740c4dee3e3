// Packing of blocks of 256 whose sub-blocks have scales of their own.
//
// The reference searches the scale of a sub-block with sums in order of its elements. Here each of 16 lanes is one
// sub-block, so that every lane keeps that order: sub-blocks are transposed first, `x[i]` being element i of each.
#pragma once

#define ROUNDING 12582912.0f  // 1.5 · 2^23: adding it leaves the nearest integer, half to even, in the low bits

/// What the reference's rounding gives for any number: outside ±2^22, and for NaN, what is left in the low bits.
INLINE v16i nearest(v16f x) { return ((v16i)(x + ROUNDING) & 0x007fffff) - 0x00400000; }
INLINE int nearest_scalar(float x) { return (int)(bits_of_float(x + ROUNDING) & 0x007fffffu) - 0x00400000; }

INLINE v16i clamped(v16i x, int32_t least, int32_t most) {
  return at_most(choose_int(x < least, (v16i)least, x), most);
}

/// The same for numbers known to lie inside ±2^22, without leaving floating point.
INLINE v16f nearest_inside(v16f x, float least, float most) {
  v16f rounded = (x + ROUNDING) - ROUNDING;
  rounded = choose(rounded < least, (v16f)least, rounded);
  return choose(rounded > most, (v16f)most, rounded);
}

#define EXCHANGE(A, B, LOW, HIGH)                            \
  do {                                                       \
    v16f a = A, b = B;                                       \
    A = __builtin_shufflevector(a, b, LOW);                  \
    B = __builtin_shufflevector(a, b, HIGH);                 \
  } while (0)
#define EIGHTS_LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define EIGHTS_HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define FOURS_LOW 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define FOURS_HIGH 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define TWOS_LOW 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define TWOS_HIGH 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define ONES_LOW 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define ONES_HIGH 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

/// Lane k of y[i] is element i of the 16 elements at x[k].
static void transpose(const float *const x[16], v16f y[16]) {
  for (int i = 0; i < 16; i++) y[i] = load(x[i]);
  for (int i = 0; i < 8; i++) EXCHANGE(y[i], y[i + 8], EIGHTS_LOW, EIGHTS_HIGH);
  for (int i = 0; i < 16; i++)
    if (!(i & 4)) EXCHANGE(y[i], y[i + 4], FOURS_LOW, FOURS_HIGH);
  for (int i = 0; i < 16; i++)
    if (!(i & 2)) EXCHANGE(y[i], y[i + 2], TWOS_LOW, TWOS_HIGH);
  for (int i = 0; i < 16; i++)
    if (!(i & 1)) EXCHANGE(y[i], y[i + 1], ONES_LOW, ONES_HIGH);
}

// MARK: Scale and minimum

/// The result of a search: scale and negated minimum, and what the codes followed from.
typedef struct scale_search {
  v16f scale, negated_minimum;
  v16f step, offset;  // code = nearest(step · (x - offset)), clamped
} scale_search;

typedef struct search_rule {
  int count;    // elements of a sub-block
  float top;    // largest code
  float first;  // inverse scales tried: (first + 0.1 s + top) / range, s = 0 … steps
  int steps;
  int absolute_error;
} search_rule;

/// One trial of a step: the sums over codes, which go to `codes`. `inside`: no rounding leaves ±2^22.
INLINE void try_codes(
  const search_rule rule, const int inside, const v16f *x, const v16f *w, v16f step, v16f offset, v16f *codes,
  v16f *sum_l, v16f *sum_l2, v16f *sum_xl) {
  v16f a = 0, b = 0, c = 0;
  for (int i = 0; i < rule.count; i++) {
    v16f scaled = step * (x[i] - offset);
    v16f l = inside ? nearest_inside(scaled, 0, rule.top) : float_of_ints(clamped(nearest(scaled), 0, (int)rule.top));
    codes[i] = l;
    v16f wl = w[i] * l;
    a = a + wl;
    b = b + wl * l;
    c = c + wl * x[i];
  }
  *sum_l = a;
  *sum_l2 = b;
  *sum_xl = c;
}

INLINE v16f error_of(const search_rule rule, const v16f *x, const v16f *w, const v16f *codes, v16f scale, v16f offset) {
  v16f sum = 0;
  for (int i = 0; i < rule.count; i++) {
    v16f difference = scale * codes[i] + offset - x[i];
    difference = rule.absolute_error ? absolute(difference) : difference * difference;
    sum = sum + w[i] * difference;
  }
  return sum;
}

INLINE int any_lane(v16i mask) { return __builtin_reduce_or(mask) != 0; }

INLINE scale_search search_scale_and_minimum(const search_rule rule, const v16f *x, const v16f *w) {
  const v16f top = rule.top;
  v16f least = x[0], most = x[0], sum_w = w[0], sum_x = sum_w * x[0];
  for (int i = 1; i < rule.count; i++) {
    least = choose(x[i] < least, x[i], least);
    most = choose(x[i] > most, x[i], most);
    sum_w = sum_w + w[i];
    sum_x = sum_x + w[i] * x[i];
  }
  const v16f bottom = least;
  least = choose(least > 0.0f, (v16f)0.0f, least);
  const v16i flat = most == least;
  const v16f flat_minimum = least;
  v16f codes[32], sum_l, sum_l2, sum_xl;
  scale_search best;
  v16f minimum = least;
  best.step = top / choose(flat, (v16f)1.0f, most - minimum);
  best.offset = minimum;
  best.scale = 1.0f / best.step;
  try_codes(rule, 0, x, w, best.step, minimum, codes, &sum_l, &sum_l2, &sum_xl);
  v16f best_error = error_of(rule, x, w, codes, best.scale, minimum);
  for (int s = 0; s <= rule.steps; s++) {
    v16f step = (rule.first + 0.1f * (float)s + rule.top) / choose(flat, (v16f)1.0f, most - minimum);
    v16f furthest = larger_of(absolute(most - minimum), absolute(bottom - minimum));
    if (any_lane(~(absolute(step) * furthest < 4194303.0f)))
      try_codes(rule, 0, x, w, step, minimum, codes, &sum_l, &sum_l2, &sum_xl);
    else
      try_codes(rule, 1, x, w, step, minimum, codes, &sum_l, &sum_l2, &sum_xl);
    v16f determinant = sum_w * sum_l2 - sum_l * sum_l;
    v16f scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    v16f offset = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    v16i above = offset > 0.0f;
    offset = choose(above, (v16f)0.0f, offset);
    scale = choose(above, sum_xl / sum_l2, scale);
    v16f error = error_of(rule, x, w, codes, scale, offset);
    v16i better = (determinant > 0.0f) & (error < best_error);
    best_error = choose(better, error, best_error);
    best.scale = choose(better, scale, best.scale);
    best.step = choose(better, step, best.step);
    best.offset = choose(better, minimum, best.offset);
    minimum = choose(better, offset, minimum);
  }
  best.scale = choose(flat, (v16f)0.0f, best.scale);
  best.step = choose(flat, (v16f)0.0f, best.step);
  best.negated_minimum = -choose(flat, flat_minimum, minimum);
  return best;
}

/// Codes of 16 elements: those of the scales that were stored, or of the search where the stored scale is 0.
INLINE v16i code_of(const float *x, float d, float minimum, float step, float offset, int32_t top) {
  if (d == 0) return clamped(nearest(step * (load(x) - offset)), 0, top);
  return clamped(nearest((load(x) + minimum) / d), 0, top);
}

/// Packs the scales and codes of one block of Q4_K or Q5_K; the arrays hold what was found for its eight sub-blocks.
INLINE void finish_k(
  const int five, const float *x, uint8_t *b, const float *scales, const float *minima, const float *steps,
  const float *offsets) {
  const int32_t top = five ? 31 : 15;
  float most_scale = 0, most_minimum = 0;
  for (int k = 0; k < 8; k++) {
    if (scales[k] > most_scale) most_scale = scales[k];
    if (minima[k] > most_minimum) most_minimum = minima[k];
  }
  float inverse_scale = most_scale > 0 ? 63.0f / most_scale : 0;
  float inverse_minimum = most_minimum > 0 ? 63.0f / most_minimum : 0;
  uint8_t *packed = b + 4;
  for (int k = 0; k < 8; k++) {
    int s = (uint8_t)nearest_scalar(inverse_scale * scales[k]), m = (uint8_t)nearest_scalar(inverse_minimum * minima[k]);
    if (s > 63) s = 63;
    if (m > 63) m = 63;
    if (k < 4) {
      packed[k] = (uint8_t)s;
      packed[k + 4] = (uint8_t)m;
    } else {
      packed[k + 4] = (uint8_t)((s & 15) | (m & 15) << 4);
      packed[k - 4] |= (uint8_t)(s >> 4 << 6);
      packed[k] |= (uint8_t)(m >> 4 << 6);
    }
  }
  float d = store_half(b, most_scale / 63.0f), least = store_half(b + 2, most_minimum / 63.0f);
  v16b high[2] = {0, 0};
  for (int k = 0; k < 8; k += 2) {
    int s0, m0, s1, m1;
    scale_and_minimum(packed, k, &s0, &m0);
    scale_and_minimum(packed, k + 1, &s1, &m1);
    for (int l = 0; l < 2; l++) {
      const float *from = x + 32 * k + 16 * l;
      v16i even = code_of(from, d * (float)s0, least * (float)m0, steps[k], offsets[k], top);
      v16i odd = code_of(from + 32, d * (float)s1, least * (float)m1, steps[k + 1], offsets[k + 1], top);
      store_bytes(b + (five ? 48 : 16) + 16 * k + 16 * l, low_bytes((even & 15) | (odd & 15) << 4));
      if (five) high[l] |= low_bytes((even >> 4 << k) | (odd >> 4 << (k + 1)));
    }
  }
  if (five) {
    store_bytes(b + 16, high[0]);
    store_bytes(b + 32, high[1]);
  }
}

/// Packs two blocks of Q4_K or Q5_K, 16 sub-blocks of 32.
INLINE void pack_two(const int five, const float *x0, const float *x1, uint8_t *b0, uint8_t *b1) {
  const search_rule rule = {32, five ? 31.0f : 15.0f, five ? -0.5f : -1.0f, five ? 15 : 20, 0};
  v16f x[32], w[32];
  for (int part = 0; part < 2; part++) {
    const float *rows[16];
    for (int k = 0; k < 16; k++) rows[k] = (k < 8 ? x0 + 32 * k : x1 + 32 * (k - 8)) + 16 * part;
    transpose(rows, x + 16 * part);
  }
  v16f squares = 0;
  for (int i = 0; i < 32; i++) squares = squares + x[i] * x[i];
  v16f mean = __builtin_elementwise_sqrt(squares / 32.0f);
  for (int i = 0; i < 32; i++) w[i] = mean + absolute(x[i]);
  scale_search found = search_scale_and_minimum(rule, x, w);
  float scales[16], minima[16], steps[16], offsets[16];
  store(scales, found.scale);
  store(minima, found.negated_minimum);
  store(steps, found.step);
  store(offsets, found.offset);
  finish_k(five, x0, b0, scales, minima, steps, offsets);
  if (b1) finish_k(five, x1, b1, scales + 8, minima + 8, steps + 8, offsets + 8);
}

static void pack_q4_k(const float *x, uint8_t *b, size_t count) {
  for (size_t i = 0; i < count; i += 2, x += 512, b += 288) {
    int two = i + 1 < count;
    pack_two(0, x, two ? x + 256 : x, b, two ? b + 144 : NULL);
  }
}

static void pack_q5_k(const float *x, uint8_t *b, size_t count) {
  for (size_t i = 0; i < count; i += 2, x += 512, b += 352) {
    int two = i + 1 < count;
    pack_two(1, x, two ? x + 256 : x, b, two ? b + 176 : NULL);
  }
}

/// The 16 sub-blocks of 16 of one block.
static void transpose_block(const float *x, v16f y[16]) {
  const float *rows[16];
  for (int k = 0; k < 16; k++) rows[k] = x + 16 * k;
  transpose(rows, y);
}

/// Two bits of each of 256 codes.
INLINE void store_pairs(uint8_t *b, const uint8_t *codes) {
  for (int part = 0; part < 2; part++)
    for (int l = 0; l < 32; l += 16) {
      const uint8_t *c = codes + 128 * part + l;
      v16b packed = (load_bytes(c) & 3) | (load_bytes(c + 32) & 3) << 2 | (load_bytes(c + 64) & 3) << 4 |
        load_bytes(c + 96) << 6;
      store_bytes(b + 32 * part + l, packed);
    }
}

PACK(pack_q2_k, 84, 256) {
  const search_rule rule = {16, 3.0f, -0.5f, 15, 1};
  v16f t[16], w[16];
  transpose_block(x, t);
  for (int i = 0; i < 16; i++) w[i] = absolute(t[i]);
  scale_search found = search_scale_and_minimum(rule, t, w);
  float scales[16], minima[16], steps[16], offsets[16], most_scale = 0, most_minimum = 0;
  store(scales, found.scale);
  store(minima, found.negated_minimum);
  store(steps, found.step);
  store(offsets, found.offset);
  for (int k = 0; k < 16; k++) {
    if (scales[k] > most_scale) most_scale = scales[k];
    if (minima[k] > most_minimum) most_minimum = minima[k];
  }
  float inverse_scale = most_scale > 0 ? 15.0f / most_scale : 0;
  float inverse_minimum = most_minimum > 0 ? 15.0f / most_minimum : 0;
  for (int k = 0; k < 16; k++) {
    int s = most_scale > 0 ? nearest_scalar(inverse_scale * scales[k]) : 0;
    int m = most_minimum > 0 ? nearest_scalar(inverse_minimum * minima[k]) : 0;
    b[k] = (uint8_t)((unsigned)s | (unsigned)m << 4);
  }
  float d = store_half(b + 80, most_scale > 0 ? most_scale / 15.0f : 0);
  float least = store_half(b + 82, most_minimum > 0 ? most_minimum / 15.0f : 0);
  uint8_t codes[256];
  for (int k = 0; k < 16; k++)
    store_bytes(
      codes + 16 * k,
      low_bytes(code_of(x + 16 * k, d * (float)(b[k] & 15), least * (float)(b[k] >> 4), steps[k], offsets[k], 3)));
  store_pairs(b + 16, codes);
}

// MARK: Scale alone

#define SMALLEST_GROUP 1e-15f

/// The number of largest magnitude of each sub-block of 16, the first of those, and that magnitude.
INLINE v16f first_of_largest_magnitudes(const v16f *x, v16f *magnitude) {
  v16f most = 0, signed_most = 0;
  for (int i = 0; i < 16; i++) {
    v16i larger = absolute(x[i]) > most;
    most = choose(larger, absolute(x[i]), most);
    signed_most = choose(larger, x[i], signed_most);
  }
  *magnitude = most;
  return signed_most;
}

/// The scale of each sub-block of Q6_K; `step` becomes what its codes followed from, 0 where all elements are tiny.
INLINE v16f search_scale(const v16f *x, v16f *step) {
  v16f magnitude;
  const v16f most = first_of_largest_magnitudes(x, &magnitude);
  const v16i tiny = magnitude < SMALLEST_GROUP;
  const v16f divisor = choose(tiny, (v16f)1.0f, most);
  v16f w[16], wx[16], scale = 0, best = 0;
  for (int i = 0; i < 16; i++) {
    w[i] = x[i] * x[i];
    wx[i] = w[i] * x[i];
  }
  for (int s = -10; s <= 9; s++) {
    if (s == 0) continue;
    // The first trial is the plain one.
    v16f trial = s == -10 ? -32.0f / divisor : -(32.0f + 0.1f * (float)s) / divisor;
    v16f sum_lx = 0, sum_l2 = 0;
    for (int i = 0; i < 16; i++) {
      v16f l = nearest_inside(trial * x[i], -32, 31);
      sum_lx = sum_lx + wx[i] * l;
      sum_l2 = sum_l2 + w[i] * l * l;
    }
    v16f ratio = sum_lx / sum_l2;
    if (s == -10) {
      scale = choose(sum_l2 == 0.0f, (v16f)0.0f, ratio);
      best = scale * sum_lx;
      *step = trial;
      continue;
    }
    v16i better = (sum_l2 > 0.0f) & (sum_lx * sum_lx > best * sum_l2);
    scale = choose(better, ratio, scale);
    best = choose(better, ratio * sum_lx, best);
    *step = choose(better, trial, *step);
  }
  *step = choose(tiny, (v16f)0.0f, *step);
  return choose(tiny, (v16f)0.0f, scale);
}

/// The scale of largest magnitude, the first of those; 0 when there is none but NaN.
INLINE float first_of_largest_scale(const float *scales) {
  float most = 0, signed_most = 0;
  for (int k = 0; k < 16; k++)
    if (fabsf(scales[k]) > most) {
      most = fabsf(scales[k]);
      signed_most = scales[k];
    }
  return signed_most;
}

PACK(pack_q6_k, 210, 256) {
  v16f t[16], step;
  transpose_block(x, t);
  float scales[16], steps[16];
  store(scales, search_scale(t, &step));
  store(steps, step);
  float most = first_of_largest_scale(scales);
  if (fabsf(most) < SMALLEST_GROUP) {
    memset(b, 0, 210);
    return;
  }
  float inverse = -128.0f / most, d = store_half(b + 208, 1.0f / inverse);
  uint8_t codes[256];
  for (int k = 0; k < 16; k++) {
    int s = nearest_scalar(inverse * scales[k]);
    b[192 + k] = (uint8_t)(s > 127 ? 127 : s);
    float scale = d * (float)(int8_t)b[192 + k];
    v16i l = clamped(nearest(scale == 0 ? load(x + 16 * k) * steps[k] : load(x + 16 * k) / scale), -32, 31) + 32;
    // A sub-block of tiny elements keeps code 0, which with its scale of 0 still means 0.
    if (scale == 0 && steps[k] == 0) l = 0;
    store_bytes(codes + 16 * k, low_bytes(l));
  }
  for (int part = 0; part < 2; part++)
    for (int l = 0; l < 32; l += 16) {
      const uint8_t *c = codes + 128 * part + l;
      v16b q0 = load_bytes(c), q1 = load_bytes(c + 32), q2 = load_bytes(c + 64), q3 = load_bytes(c + 96);
      store_bytes(b + 64 * part + l, (q0 & 15) | q2 << 4);
      store_bytes(b + 64 * part + 32 + l, (q1 & 15) | q3 << 4);
      store_bytes(b + 128 + 32 * part + l, q0 >> 4 | q1 >> 4 << 2 | q2 >> 4 << 4 | q3 >> 4 << 6);
    }
}

/// The scale of each sub-block of Q3_K by improving one code after another; its codes, plus 4, go to `codes`.
INLINE v16f search_scale_of_three(const v16f *x, v16i *codes) {
  v16f magnitude;
  const v16f most = first_of_largest_magnitudes(x, &magnitude);
  const v16i tiny = magnitude < SMALLEST_GROUP;
  v16f step = -4.0f / choose(tiny, (v16f)1.0f, most), sum_lx = 0, sum_l2 = 0, l[16];
  for (int i = 0; i < 16; i++) {
    l[i] = nearest_inside(step * x[i], -4, 3);
    v16f w = x[i] * x[i];
    sum_lx = sum_lx + w * x[i] * l[i];
    sum_l2 = sum_l2 + w * l[i] * l[i];
  }
  for (int sweep = 0; sweep < 5; sweep++) {
    v16i changed = 0;
    for (int i = 0; i < 16; i++) {
      v16f w = x[i] * x[i];
      v16f others_lx = sum_lx - w * x[i] * l[i], others_l2 = sum_l2 - w * l[i] * l[i];
      v16f code = float_of_ints(clamped(nearest(x[i] * others_l2 / others_lx), -4, 3));
      v16f new_lx = others_lx + w * x[i] * code, new_l2 = others_l2 + w * code * code;
      v16i better = (others_lx > 0.0f) & (code != l[i]) & (new_l2 > 0.0f) &
        (new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2);
      l[i] = choose(better, code, l[i]);
      sum_lx = choose(better, new_lx, sum_lx);
      sum_l2 = choose(better, new_l2, sum_l2);
      changed |= better;
    }
    if (!any_lane(changed)) break;
  }
  for (int i = 0; i < 16; i++) codes[i] = (__builtin_convertvector(l[i], v16i) + 4) & ~tiny;
  return choose(tiny | ~(sum_l2 > 0.0f), (v16f)0.0f, sum_lx / sum_l2);
}

PACK(pack_q3_k, 110, 256) {
  v16f t[16];
  v16i found[16];
  transpose_block(x, t);
  float scales[16];
  store(scales, search_scale_of_three(t, found));
  float most = first_of_largest_scale(scales), inverse = most != 0 ? -32.0f / most : 0;
  uint8_t *packed = b + 96, codes[256];
  memset(packed, 0, 12);
  for (int k = 0; most != 0 && k < 16; k++) {
    int s = (int8_t)nearest_scalar(inverse * scales[k]);
    s = (s < -32 ? -32 : s > 31 ? 31 : s) + 32;
    packed[k % 8] |= (uint8_t)((s & 15) << (k < 8 ? 0 : 4));
    packed[8 + k % 4] |= (uint8_t)(s >> 4 << (2 * (k / 4)));
  }
  float d = store_half(b + 108, most != 0 ? 1.0f / inverse : 0);
  for (int k = 0; k < 16; k++) {
    float scale = d * (float)(scale_of_three(packed, k) - 32);
    if (scale == 0) {
      for (int i = 0; i < 16; i++) codes[16 * k + i] = (uint8_t)found[i][k];
    } else {
      store_bytes(codes + 16 * k, low_bytes(clamped(nearest(load(x + 16 * k) / scale), -4, 3) + 4));
    }
  }
  for (int l = 0; l < 32; l += 16) {
    v16b high = 0;
    for (int n = 0; n < 8; n++) high |= (load_bytes(codes + 32 * n + l) >> 2 & 1) << (uint8_t)n;
    store_bytes(b + l, high);
  }
  store_pairs(b + 32, codes);
}
