// Blocks of GGML: what packing and unpacking share. Layouts are in formats/gguf-blocks.md.
//
// Every operation is a single-precision one in the order of the reference, without fused multiply-add, so that packing
// gives the same bytes and unpacking the same numbers as it does, on every instruction set.
#pragma once

#include "blocks_grids.h"

typedef int8_t v16c __attribute__((ext_vector_type(16)));
typedef int32_t v8i __attribute__((ext_vector_type(8)));

static const float block_fours[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const float block_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

INLINE float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

INLINE uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

INLINE uint32_t short_at(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
INLINE uint32_t word_at(const uint8_t *p) { return short_at(p) | short_at(p + 2) << 16; }

INLINE float float_of_half(uint32_t half) {
  uint32_t magnitude = (half & 0x7fffu) << 13, sign = (half & 0x8000u) << 16;
  if (magnitude >= 0x0f800000u) {
    uint32_t quiet = magnitude > 0x0f800000u ? 0x00400000u : 0;
    return float_of_bits(magnitude | 0x70000000u | quiet | sign);
  }
  return float_of_bits(bits_of_float(float_of_bits(magnitude) * 0x1p112f) | sign);
}

INLINE float half_at(const uint8_t *p) { return float_of_half(short_at(p)); }

/// Stores `x` rounded to half precision, and returns what that stands for. NaN gets the sign that x86 gives a new one.
INLINE float store_half(uint8_t *p, float x) {
  uint32_t bits = bits_of_float(x), magnitude = bits & 0x7fffffffu, half;
  if (magnitude >= 0x477ff000u) half = 0x7c00u;
  else if (magnitude < (113u << 23)) half = bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3f000000u;
  else half = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  half |= (bits >> 16) & 0x8000u;
  if (magnitude > 0x7f800000u) half = 0xfe00u;
  p[0] = (uint8_t)half;
  p[1] = (uint8_t)(half >> 8);
  return float_of_half(half);
}

INLINE v16b load_bytes(const uint8_t *p) {
  v16b v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store_bytes(uint8_t *p, v16b v) { memcpy(p, &v, sizeof v); }

INLINE v16i int_of_bytes(v16b v) { return __builtin_convertvector(v, v16i); }
INLINE v16f float_of_ints(v16i v) { return __builtin_convertvector(v, v16f); }
INLINE v16f float_of_bytes(v16b v) { return float_of_ints(int_of_bytes(v)); }
INLINE v16f float_of_signed(const uint8_t *p) {
  v16c v;
  memcpy(&v, p, sizeof v);
  return float_of_ints(__builtin_convertvector(v, v16i));
}

/// The six-bit scale and minimum of sub-block `k` of Q4_K and Q5_K.
INLINE void scale_and_minimum(const uint8_t *packed, int k, int *scale, int *minimum) {
  if (k < 4) {
    *scale = packed[k] & 63;
    *minimum = packed[k + 4] & 63;
  } else {
    *scale = (packed[k + 4] & 15) | (packed[k - 4] >> 6) << 4;
    *minimum = (packed[k + 4] >> 4) | (packed[k] >> 6) << 4;
  }
}

/// The six-bit scale of sub-block `k` of Q3_K, without its offset of 32.
INLINE int scale_of_three(const uint8_t *packed, int k) {
  int low = k < 8 ? packed[k] & 15 : packed[k - 8] >> 4;
  return low | ((packed[8 + k % 4] >> (2 * (k / 4))) & 3) << 4;
}

/// Half of 2^(e - 127), because the table of E2M1 holds doubled values.
INLINE float half_of_e8m0(uint32_t e) { return float_of_bits(e < 2 ? 0x00200000u << e : (e - 1) << 23); }

/// Half of an unsigned E4M3 value with bias 7; 0 and the pattern of NaN stand for 0.
INLINE float half_of_ue4m3(uint32_t bits) {
  if (bits == 0 || bits == 0x7f) return 0;
  uint32_t exponent = (bits >> 3) & 15, mantissa = bits & 7;
  if (exponent == 0) return (float)mantissa * 0x1p-10f;
  return (1.0f + (float)mantissa / 8.0f) * float_of_bits((exponent + 119) << 23);
}

#include "blocks_unpack.h"
#include "blocks_unpack_k.h"
#include "blocks_unpack_grid.h"
#include "blocks_pack.h"
#include "blocks_pack_k.h"
#include "blocks_pack_small.h"

static void unpack_blocks(int format, const void *source, float *y, size_t count) {
  const uint8_t *b = source;
  switch (format) {
  case POLLARD_BLOCK_Q4_0: unpack_q4_0(b, y, count); break;
  case POLLARD_BLOCK_Q4_1: unpack_q4_1(b, y, count); break;
  case POLLARD_BLOCK_Q5_0: unpack_q5_0(b, y, count); break;
  case POLLARD_BLOCK_Q5_1: unpack_q5_1(b, y, count); break;
  case POLLARD_BLOCK_Q8_0: unpack_q8_0(b, y, count); break;
  case POLLARD_BLOCK_Q8_1: unpack_q8_1(b, y, count); break;
  case POLLARD_BLOCK_Q2_K: unpack_q2_k(b, y, count); break;
  case POLLARD_BLOCK_Q3_K: unpack_q3_k(b, y, count); break;
  case POLLARD_BLOCK_Q4_K: unpack_q4_k(b, y, count); break;
  case POLLARD_BLOCK_Q5_K: unpack_q5_k(b, y, count); break;
  case POLLARD_BLOCK_Q6_K: unpack_q6_k(b, y, count); break;
  case POLLARD_BLOCK_Q8_K: unpack_q8_k(b, y, count); break;
  case POLLARD_BLOCK_IQ2_XXS: unpack_iq2_xxs(b, y, count); break;
  case POLLARD_BLOCK_IQ2_XS: unpack_iq2_xs(b, y, count); break;
  case POLLARD_BLOCK_IQ3_XXS: unpack_iq3_xxs(b, y, count); break;
  case POLLARD_BLOCK_IQ1_S: unpack_iq1_s(b, y, count); break;
  case POLLARD_BLOCK_IQ4_NL: unpack_iq4_nl(b, y, count); break;
  case POLLARD_BLOCK_IQ3_S: unpack_iq3_s(b, y, count); break;
  case POLLARD_BLOCK_IQ2_S: unpack_iq2_s(b, y, count); break;
  case POLLARD_BLOCK_IQ4_XS: unpack_iq4_xs(b, y, count); break;
  case POLLARD_BLOCK_IQ1_M: unpack_iq1_m(b, y, count); break;
  case POLLARD_BLOCK_TQ1_0: unpack_tq1_0(b, y, count); break;
  case POLLARD_BLOCK_TQ2_0: unpack_tq2_0(b, y, count); break;
  case POLLARD_BLOCK_MXFP4: unpack_mxfp4(b, y, count); break;
  case POLLARD_BLOCK_NVFP4: unpack_nvfp4(b, y, count); break;
  case POLLARD_BLOCK_Q1_0: unpack_q1_0(b, y, count); break;
  case POLLARD_BLOCK_Q2_0: unpack_q2_0(b, y, count); break;
  }
}

/// Packs finite numbers.
static void pack_finite(int format, const float *x, uint8_t *b, size_t count) {
  switch (format) {
  case POLLARD_BLOCK_Q4_0: pack_q4_0(x, b, count); break;
  case POLLARD_BLOCK_Q4_1: pack_q4_1(x, b, count); break;
  case POLLARD_BLOCK_Q5_0: pack_q5_0(x, b, count); break;
  case POLLARD_BLOCK_Q5_1: pack_q5_1(x, b, count); break;
  case POLLARD_BLOCK_Q8_0: pack_q8_0(x, b, count); break;
  case POLLARD_BLOCK_Q2_K: pack_q2_k(x, b, count); break;
  case POLLARD_BLOCK_Q3_K: pack_q3_k(x, b, count); break;
  case POLLARD_BLOCK_Q4_K: pack_q4_k(x, b, count); break;
  case POLLARD_BLOCK_Q5_K: pack_q5_k(x, b, count); break;
  case POLLARD_BLOCK_Q6_K: pack_q6_k(x, b, count); break;
  case POLLARD_BLOCK_IQ4_NL: pack_iq4_nl(x, b, count); break;
  case POLLARD_BLOCK_TQ1_0: pack_tq1_0(x, b, count); break;
  case POLLARD_BLOCK_TQ2_0: pack_tq2_0(x, b, count); break;
  case POLLARD_BLOCK_MXFP4: pack_mxfp4(x, b, count); break;
  }
}

INLINE int all_finite(const float *x, size_t count) {
  v16i most = (v16i)(int32_t)0;
  for (size_t i = 0; i < count; i += 16) {
    v16i magnitude = (v16i)load(x + i) & 0x7fffffff;
    most = choose_int(magnitude > most, magnitude, most);
  }
  v16i beyond = most >= 0x7f800000;
  int32_t any = 0;
  for (int i = 0; i < 16; i++) any |= beyond[i];
  return any == 0;
}

static size_t pack_blocks(int format, const float *x, void *target, size_t count) {
  uint8_t *b = target;
  const size_t elements = pollard_block_elements(format), bytes = pollard_block_bytes(format);
  if (elements == 0) return 0;
  const size_t group = 2048 / elements;
  size_t first_bad = count;
  for (size_t start = 0; start < count; start += group) {
    size_t part = count - start < group ? count - start : group;
    const float *from = x + start * elements;
    uint8_t *to = b + start * bytes;
    if (all_finite(from, part * elements)) {
      pack_finite(format, from, to, part);
      continue;
    }
    for (size_t i = 0; i < part; i++) {
      if (all_finite(from + i * elements, elements)) {
        pack_finite(format, from + i * elements, to + i * bytes, 1);
      } else {
        memset(to + i * bytes, 0, bytes);
        if (start + i < first_bad) first_bad = start + i;
      }
    }
  }
  return first_bad;
}
