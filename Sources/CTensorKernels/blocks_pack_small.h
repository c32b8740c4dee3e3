// Packing of MXFP4, IQ4_NL and the ternary formats.
#pragma once

PACK(pack_mxfp4, 17, 32) {
  float most = largest_magnitude(x, 32);
  // Magnitudes far below one leave the range of the exponent; the reference keeps the low byte.
  b[0] = most > 0 ? (uint8_t)(int)(floorf(binary_logarithm(most)) - 2 + 127) : 0;
  float d = half_of_e8m0(b[0]);
  v16i codes[2];
  for (int part = 0; part < 2; part++) {
    v16f v = load(x + 16 * part), best = absolute(0.0f * d - v);
    codes[part] = 0;
    for (int i = 1; i < 16; i++) {
      v16f error = absolute(block_e2m1[i] * d - v);
      v16i better = error < best;
      best = choose(better, error, best);
      codes[part] = choose_int(better, (v16i)i, codes[part]);
    }
  }
  store_bytes(b + 1, low_bytes(codes[0] | codes[1] << 4));
}

/// The index of the value of IQ4 nearest to each number, the larger one of two equally near; NaN gives 15.
INLINE v16i nearest_of_fours(v16f x) {
  static const float between[15] = {-115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f, 7, 19, 31.5f, 45.5f, 61, 79, 101};
  v16i index = 15;
  for (int i = 0; i < 15; i++) index += x < between[i];
  return index;
}

INLINE v16f value_of_four(v16i index) { return look_up(block_fours, low_bytes(index)); }

/// The scales of 16 blocks, one in each lane.
INLINE v16f search_scale_of_fours(const v16f *x) {
  v16f most = 0, magnitude = 0;
  for (int i = 0; i < 32; i++) {
    v16i larger = absolute(x[i]) > magnitude;
    magnitude = choose(larger, absolute(x[i]), magnitude);
    most = choose(larger, x[i], most);
  }
  const v16i tiny = magnitude < SMALLEST_GROUP;
  most = choose(tiny, (v16f)1.0f, most);
  v16f scale = 0, best = 0;
  for (int s = -8; s <= 7; s++) {
    // The first trial is the plain one.
    v16f step = s == -8 ? 1.0f / (-most / -127.0f) : (float)(s - 127) / most;
    v16f sum_qx = 0, sum_q2 = 0;
    for (int i = 0; i < 32; i++) {
      v16f q = value_of_four(nearest_of_fours(step * x[i]));
      v16f wq = x[i] * x[i] * q;
      sum_qx = sum_qx + wq * x[i];
      sum_q2 = sum_q2 + wq * q;
    }
    v16f ratio = sum_qx / sum_q2;
    v16i better = sum_q2 > 0.0f;
    if (s == -8) {
      scale = choose(better, ratio, (v16f)0.0f);
      best = scale * sum_qx;
    } else {
      better &= sum_qx * sum_qx > best * sum_q2;
      scale = choose(better, ratio, scale);
      best = choose(better, ratio * sum_qx, best);
    }
  }
  return choose(tiny, (v16f)0.0f, scale);
}

static void pack_iq4_nl(const float *x, uint8_t *b, size_t count) {
  for (size_t start = 0; start < count; start += 16) {
    size_t part = count - start < 16 ? count - start : 16;
    v16f t[32];
    for (int half = 0; half < 2; half++) {
      const float *rows[16];
      for (size_t k = 0; k < 16; k++) rows[k] = x + 32 * (start + (k < part ? k : 0)) + 16 * (size_t)half;
      transpose(rows, t + 16 * half);
    }
    float scales[16];
    store(scales, search_scale_of_fours(t));
    for (size_t k = 0; k < part; k++) {
      const float *from = x + 32 * (start + k);
      uint8_t *to = b + 18 * (start + k);
      float inverse = reciprocal(scales[k]);
      store_half(to, scales[k]);
      v16i low = nearest_of_fours(load(from) * inverse), high = nearest_of_fours(load(from + 16) * inverse);
      store_bytes(to + 2, low_bytes(low | high << 4));
    }
  }
}

/// Codes 0, 1, 2 for -1, 0, 1 times the largest magnitude, which is returned.
INLINE float ternary_codes(const float *x, uint8_t *codes) {
  float d = largest_magnitude(x, 256), inverse = reciprocal(d);
  for (int i = 0; i < 256; i += 16) store_bytes(codes + i, low_bytes(rounded_away(load(x + i) * inverse) + 1));
  return d;
}

PACK(pack_tq2_0, 66, 256) {
  uint8_t codes[256];
  store_half(b + 64, ternary_codes(x, codes));
  store_pairs(b, codes);
}

/// Five base-3 digits as the smallest byte whose leading digits they are.
INLINE v16b packed_digits(v16b a, v16b b, v16b c, v16b d, v16b e) {
  v16b digits = (((a * 3 + b) * 3 + c) * 3 + d) * 3 + e;
  v16u number = __builtin_convertvector(digits, v16u);
  return __builtin_convertvector((number * 256 + 242) / 243, v16b);
}

PACK(pack_tq1_0, 54, 256) {
  uint8_t codes[256], last[16] = {0};
  store_half(b + 52, ternary_codes(x, codes));
  for (int l = 0; l < 32; l += 16) {
    const uint8_t *c = codes + l;
    store_bytes(
      b + l, packed_digits(load_bytes(c), load_bytes(c + 32), load_bytes(c + 64), load_bytes(c + 96), load_bytes(c + 128)));
  }
  const uint8_t *c = codes + 160;
  store_bytes(
    b + 32, packed_digits(load_bytes(c), load_bytes(c + 16), load_bytes(c + 32), load_bytes(c + 48), load_bytes(c + 64)));
  for (int j = 0; j < 4; j++) {
    v16b digits[4];
    for (int n = 0; n < 4; n++) digits[n] = codes[240 + j + 4 * n];
    last[j] = packed_digits(digits[0], digits[1], digits[2], digits[3], 0)[0];
  }
  memcpy(b + 48, last, 4);
}
