// Unpacking of the formats whose codes name points of a grid.
#pragma once

INLINE void store_eight(float *y, v8f v) { memcpy(y, &v, sizeof v); }

/// Turns the sign of lane j where bit j of `signs` is set.
INLINE v8f with_signs(v8f v, uint32_t signs) {
  const v8i lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (v8f)((v8i)v ^ ((v8i)(int32_t)signs >> lane) << 31);
}

/// Seven signs and the eighth that makes their number even.
INLINE uint32_t even_signs(uint32_t seven) {
  uint32_t parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}

INLINE v8i codes_of_eight(uint32_t point) {
  const v8i shift = {0, 2, 4, 6, 8, 10, 12, 14};
  return ((v8i)(int32_t)point >> shift) & 3;
}

INLINE v8i codes_of_four(uint32_t first, uint32_t second) {
  const v8i shift = {0, 3, 6, 9, 12, 15, 18, 21};
  return ((v8i)(int32_t)(first | second << 12) >> shift) & 7;
}

INLINE v8f point_of_iq2(uint32_t point) {
  v8i code = codes_of_eight(point);
  return __builtin_convertvector(8 + 17 * code + (code >> 1), v8f);
}

INLINE v8f point_of_iq1(uint32_t point) { return __builtin_convertvector(codes_of_eight(point) - 1, v8f); }

UNPACK(unpack_iq2_xxs, 66, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++) {
    const uint8_t *q = b + 2 + 8 * k;
    uint32_t word = word_at(q + 4);
    float scale = d * (0.5f + (float)(word >> 28)) * 0.25f;
    for (int l = 0; l < 4; l++) {
      v8f v = scale * point_of_iq2(pollard_grid_iq2xxs[q[l]]);
      store_eight(y + 32 * k + 8 * l, with_signs(v, even_signs(word >> (7 * l) & 127)));
    }
  }
}

UNPACK(unpack_iq2_xs, 74, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++)
    for (int l = 0; l < 4; l++) {
      uint32_t q = short_at(b + 2 + 8 * k + 2 * l);
      float scale = d * (0.5f + (float)(b[66 + k] >> (4 * (l / 2)) & 15)) * 0.25f;
      v8f v = scale * point_of_iq2(pollard_grid_iq2xs[q & 511]);
      store_eight(y + 32 * k + 8 * l, with_signs(v, even_signs(q >> 9)));
    }
}

UNPACK(unpack_iq2_s, 82, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++)
    for (int l = 0; l < 4; l++) {
      uint32_t q = (uint32_t)b[2 + 4 * k + l] | ((uint32_t)b[66 + k] << (8 - 2 * l) & 0x300u);
      float scale = d * (0.5f + (float)(b[74 + k] >> (4 * (l / 2)) & 15)) * 0.25f;
      v8f v = scale * point_of_iq2(pollard_grid_iq2s[q]);
      store_eight(y + 32 * k + 8 * l, with_signs(v, b[34 + 4 * k + l]));
    }
}

UNPACK(unpack_iq3_xxs, 98, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++) {
    uint32_t word = word_at(b + 66 + 4 * k);
    float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
    for (int l = 0; l < 4; l++) {
      const uint8_t *q = b + 2 + 8 * k + 2 * l;
      v8i code = codes_of_four(pollard_grid_iq3xxs[q[0]], pollard_grid_iq3xxs[q[1]]);
      v8f v = scale * __builtin_convertvector(4 + 8 * code + ((code + 1) >> 3 << 1), v8f);
      store_eight(y + 32 * k + 8 * l, with_signs(v, even_signs(word >> (7 * l) & 127)));
    }
  }
}

UNPACK(unpack_iq3_s, 110, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++) {
    float scale = d * (float)(1 + 2 * (b[106 + k / 2] >> (4 * (k % 2)) & 15));
    uint32_t high = b[66 + k];
    for (int l = 0; l < 4; l++) {
      const uint8_t *q = b + 2 + 8 * k + 2 * l;
      v8i code = codes_of_four(
        pollard_grid_iq3s[q[0] | (high << (8 - 2 * l) & 256)], pollard_grid_iq3s[q[1] | (high << (7 - 2 * l) & 256)]);
      v8f v = scale * __builtin_convertvector(1 + 2 * code, v8f);
      store_eight(y + 32 * k + 8 * l, with_signs(v, b[74 + 4 * k + l]));
    }
  }
}

UNPACK(unpack_iq1_s, 50, 256) {
  float d = half_at(b);
  for (int k = 0; k < 8; k++) {
    uint32_t high = short_at(b + 34 + 2 * k);
    float scale = d * (float)(2 * (high >> 12 & 7) + 1), delta = high & 0x8000u ? -0.125f : 0.125f;
    for (int l = 0; l < 4; l++) {
      uint32_t q = (uint32_t)b[2 + 4 * k + l] | (high >> (3 * l) & 7) << 8;
      store_eight(y + 32 * k + 8 * l, scale * (point_of_iq1(pollard_grid_iq1s[q]) + delta));
    }
  }
}

UNPACK(unpack_iq1_m, 56, 256) {
  const uint8_t *scales = b + 48;
  uint32_t half = 0;
  for (int i = 0; i < 4; i++) half |= (short_at(scales + 2 * i) >> 12) << (4 * i);
  float d = float_of_half(half);
  for (int k = 0; k < 8; k++)
    for (int l = 0; l < 4; l++) {
      uint32_t s = short_at(scales + k / 2 * 2) >> (6 * (k % 2) + 3 * (l / 2)) & 7;
      uint32_t high = (uint32_t)b[32 + 2 * k + l / 2] >> (4 * (l % 2));
      float scale = d * (float)(2 * s + 1), delta = high & 8 ? -0.125f : 0.125f;
      uint32_t q = (uint32_t)b[4 * k + l] | (high & 7) << 8;
      store_eight(y + 32 * k + 8 * l, scale * (point_of_iq1(pollard_grid_iq1s[q]) + delta));
    }
}
