// Unpacking of blocks with one scale, or one scale and one minimum.
#pragma once

#define UNPACK(NAME, BYTES, ELEMENTS)                                                          \
  INLINE void NAME##_block(const uint8_t *b, float *y);                                        \
  static void NAME(const uint8_t *b, float *y, size_t count) {                                 \
    for (size_t i = 0; i < count; i++, b += BYTES, y += ELEMENTS) NAME##_block(b, y);          \
  }                                                                                            \
  INLINE void NAME##_block(const uint8_t *b, float *y)

/// Bit `lane + shift` of `word` as 16 or 0.
INLINE v16i sixteen_if(uint32_t word, int shift) {
  const v16u lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (v16i)((((v16u)word >> (lane + (uint32_t)shift)) & 1u) << 4);
}

UNPACK(unpack_q4_0, 18, 32) {
  float d = half_at(b);
  v16b q = load_bytes(b + 2);
  store(y, float_of_ints(int_of_bytes(q & 15) - 8) * d);
  store(y + 16, float_of_ints(int_of_bytes(q >> 4) - 8) * d);
}

UNPACK(unpack_q4_1, 20, 32) {
  float d = half_at(b), m = half_at(b + 2);
  v16b q = load_bytes(b + 4);
  store(y, float_of_bytes(q & 15) * d + m);
  store(y + 16, float_of_bytes(q >> 4) * d + m);
}

UNPACK(unpack_q5_0, 22, 32) {
  float d = half_at(b);
  uint32_t high = word_at(b + 2);
  v16b q = load_bytes(b + 6);
  store(y, float_of_ints((int_of_bytes(q & 15) | sixteen_if(high, 0)) - 16) * d);
  store(y + 16, float_of_ints((int_of_bytes(q >> 4) | sixteen_if(high, 16)) - 16) * d);
}

UNPACK(unpack_q5_1, 24, 32) {
  float d = half_at(b), m = half_at(b + 2);
  uint32_t high = word_at(b + 4);
  v16b q = load_bytes(b + 8);
  store(y, float_of_ints(int_of_bytes(q & 15) | sixteen_if(high, 0)) * d + m);
  store(y + 16, float_of_ints(int_of_bytes(q >> 4) | sixteen_if(high, 16)) * d + m);
}

UNPACK(unpack_q8_0, 34, 32) {
  float d = half_at(b);
  store(y, float_of_signed(b + 2) * d);
  store(y + 16, float_of_signed(b + 18) * d);
}

UNPACK(unpack_q8_1, 36, 32) {
  float d = half_at(b);
  store(y, float_of_signed(b + 4) * d);
  store(y + 16, float_of_signed(b + 20) * d);
}

UNPACK(unpack_q8_k, 292, 256) {
  float d = float_of_bits(word_at(b));
  for (int i = 0; i < 256; i += 16) store(y + i, d * float_of_signed(b + 4 + i));
}

UNPACK(unpack_q1_0, 18, 128) {
  float d = half_at(b);
  for (int i = 0; i < 128; i += 16) {
    v16i set = -(sixteen_if(short_at(b + 2 + i / 8), 0) >> 4);
    store(y + i, choose(set, (v16f)d, (v16f)-d));
  }
}

UNPACK(unpack_q2_0, 18, 64) {
  const v16u shift = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  float d = half_at(b);
  for (int i = 0; i < 64; i += 16) {
    v16i code = (v16i)(((v16u)word_at(b + 2 + i / 4) >> shift) & 3u);
    store(y + i, float_of_ints(code - 1) * d);
  }
}

UNPACK(unpack_tq2_0, 66, 256) {
  float d = half_at(b + 64);
  for (int half = 0; half < 2; half++)
    for (int n = 0; n < 4; n++)
      for (int l = 0; l < 32; l += 16) {
        v16b code = (load_bytes(b + 32 * half + l) >> (uint8_t)(2 * n)) & 3;
        store(y + 128 * half + 32 * n + l, float_of_ints(int_of_bytes(code) - 1) * d);
      }
}

/// One base-3 digit of each of `count` (at most 16) bytes; the byte has been multiplied by the power of 3 that brings
/// the digit to the front.
INLINE void unpack_digits(v16b bytes, uint8_t power, float d, float *y) {
  v16h product = __builtin_convertvector(bytes * power, v16h) * 3 >> 8;
  store(y, float_of_ints(__builtin_convertvector(product, v16i) - 1) * d);
}

UNPACK(unpack_tq1_0, 54, 256) {
  static const uint8_t powers[5] = {1, 3, 9, 27, 81};
  float d = half_at(b + 52), tail[16];
  for (int n = 0; n < 5; n++) {
    unpack_digits(load_bytes(b), powers[n], d, y + 32 * n);
    unpack_digits(load_bytes(b + 16), powers[n], d, y + 32 * n + 16);
    unpack_digits(load_bytes(b + 32), powers[n], d, y + 160 + 16 * n);
  }
  uint8_t last[16] = {0};
  memcpy(last, b + 48, 4);
  for (int n = 0; n < 4; n++) {
    unpack_digits(load_bytes(last), powers[n], d, tail);
    memcpy(y + 240 + 4 * n, tail, 4 * sizeof(float));
  }
}

/// 16 entries of a table of 16 floats.
INLINE v16f look_up(const float *table, v16b index) {
#if defined(POLLARD_ZMM)
  return (v16f)_mm512_permutexvar_ps((__m512i)int_of_bytes(index), (__m512)load(table));
#else
  v16f found;
  for (int i = 0; i < 16; i++) found[i] = table[index[i]];
  return found;
#endif
}

UNPACK(unpack_iq4_nl, 18, 32) {
  float d = half_at(b);
  v16b q = load_bytes(b + 2);
  store(y, d * look_up(block_fours, q & 15));
  store(y + 16, d * look_up(block_fours, q >> 4));
}

UNPACK(unpack_mxfp4, 17, 32) {
  float d = half_of_e8m0(b[0]);
  v16b q = load_bytes(b + 1);
  store(y, look_up(block_e2m1, q & 15) * d);
  store(y + 16, look_up(block_e2m1, q >> 4) * d);
}

UNPACK(unpack_nvfp4, 36, 64) {
  for (int s = 0; s < 4; s++) {
    float d = half_of_ue4m3(b[s]);
    const uint8_t *q = b + 4 + 8 * s;
    for (int j = 0; j < 8; j++) {
      y[16 * s + j] = block_e2m1[q[j] & 15] * d;
      y[16 * s + j + 8] = block_e2m1[q[j] >> 4] * d;
    }
  }
}
