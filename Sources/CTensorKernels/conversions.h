// Element types to and from float32.
#pragma once

// MARK: To float32

INLINE v16f from_half(v16h h) {
#if defined(POLLARD_ZMM)
  return (v16f)_mm512_cvtph_ps((__m256i)h);
#else
  // Shift exponent and mantissa into place and scale by 2^112, which also makes float32 values of subnormals.
  v16u u = __builtin_convertvector(h, v16u);
  v16u sign = (u & 0x8000u) << 16;
  v16u magnitude = (u & 0x7fffu) << 13;
  v16f scaled = (v16f)magnitude * 0x1p112f;
  v16i special = (v16i)(u & 0x7fffu) >= 0x7c00;
  v16i nan = (v16i)(u & 0x7fffu) > 0x7c00;
  v16i bits = choose_int(special, (v16i)(magnitude | 0x7f800000u), (v16i)scaled);
  bits |= nan & 0x00400000;
  return (v16f)((v16u)bits | sign);
#endif
}

INLINE v16f from_bfloat(v16h h) { return (v16f)(__builtin_convertvector(h, v16u) << 16); }

INLINE v16f from_e4m3fn(v16b b) {
  v16u u = __builtin_convertvector(b, v16u);
  v16f magnitude = (v16f)((u & 0x7fu) << 20) * 0x1p120f;
  magnitude = choose((u & 0x7fu) == 0x7fu, (v16f)(v16u)(0x7fc00000u), magnitude);
  return (v16f)((v16u)magnitude | ((u & 0x80u) << 24));
}

INLINE v16f from_e5m2(v16b b) { return from_half(__builtin_convertvector(b, v16h) << 8); }

/// 16 elements of `type` (a constant where this is inlined) as float32.
INLINE v16f load_as(const int type, const void *source, size_t index) {
  switch (type) {
  case POLLARD_F16: {
    v16h h;
    memcpy(&h, (const uint16_t *)source + index, sizeof h);
    return from_half(h);
  }
  case POLLARD_BF16: {
    v16h h;
    memcpy(&h, (const uint16_t *)source + index, sizeof h);
    return from_bfloat(h);
  }
  case POLLARD_F64: {
    v16d d;
    memcpy(&d, (const double *)source + index, sizeof d);
    return __builtin_convertvector(d, v16f);
  }
  case POLLARD_F8_E4M3FN: {
    v16b b;
    memcpy(&b, (const uint8_t *)source + index, sizeof b);
    return from_e4m3fn(b);
  }
  case POLLARD_F8_E5M2: {
    v16b b;
    memcpy(&b, (const uint8_t *)source + index, sizeof b);
    return from_e5m2(b);
  }
  default: return load((const float *)source + index);
  }
}

INLINE size_t size_of(const int type) {
  switch (type) {
  case POLLARD_F16:
  case POLLARD_BF16: return 2;
  case POLLARD_F64: return 8;
  case POLLARD_F8_E4M3FN:
  case POLLARD_F8_E5M2: return 1;
  default: return 4;
  }
}

/// The first `count` (at most 16) elements as float32, then zeros.
INLINE v16f load_some_as(const int type, const void *source, size_t index, size_t count) {
  if (count >= 16) return load_as(type, source, index);
  uint64_t padded[16] = {0};
  memcpy(padded, (const char *)source + index * size_of(type), count * size_of(type));
  return load_as(type, padded, 0);
}

INLINE void convert_to_f32_typed(const int type, const void *source, float *destination, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) store(destination + i, load_as(type, source, i));
  if (i < count) store_some(destination + i, load_some_as(type, source, i, count - i), count - i);
}

static void convert_to_f32(int type, const void *source, float *destination, size_t count) {
  switch (type) {
  case POLLARD_F32: memmove(destination, source, count * sizeof(float)); break;
  case POLLARD_F16: convert_to_f32_typed(POLLARD_F16, source, destination, count); break;
  case POLLARD_BF16: convert_to_f32_typed(POLLARD_BF16, source, destination, count); break;
  case POLLARD_F64: convert_to_f32_typed(POLLARD_F64, source, destination, count); break;
  case POLLARD_F8_E4M3FN: convert_to_f32_typed(POLLARD_F8_E4M3FN, source, destination, count); break;
  case POLLARD_F8_E5M2: convert_to_f32_typed(POLLARD_F8_E5M2, source, destination, count); break;
  }
}

// MARK: From float32

INLINE v16h to_half(v16f x) {
#if defined(POLLARD_ZMM)
  return (v16h)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  v16u u = (v16u)x;
  v16u sign = (u >> 16) & 0x8000u;
  v16u magnitude = u & 0x7fffffffu;
  // Normal results: rebias, then round half to even on the 13 bits that go; a carry into the exponent is right.
  v16u normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Subnormal results: adding 1/2 puts 2^-24 at the unit of the last place, and the addition rounds half to even.
  v16u subnormal = (v16u)((v16f)magnitude + 0.5f) - 0x3f000000u;
  v16i small = (v16i)magnitude < (113 << 23);
  v16i overflow = (v16i)magnitude >= 0x477ff000;
  v16i nan = (v16i)magnitude > 0x7f800000;
  v16i bits = choose_int(small, (v16i)subnormal, (v16i)normal);
  bits = choose_int(overflow, (v16i)0x7c00, bits);
  bits = choose_int(nan, (v16i)(0x7e00u | ((magnitude >> 13) & 0x3ffu)), bits);
  return __builtin_convertvector((v16u)bits | sign, v16h);
#endif
}

INLINE v16h to_bfloat(v16f x) {
  v16u u = (v16u)x;
  v16u rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  v16i nan = (v16i)(u & 0x7fffffffu) > 0x7f800000;
  return __builtin_convertvector((v16u)choose_int(nan, (v16i)((u >> 16) | 0x40u), (v16i)rounded), v16h);
}

/// Rounds to `mantissa_bits` of mantissa with the smallest normal exponent `least` (biased as in float32).
INLINE v16u to_small(v16u magnitude, const int mantissa_bits, const int least, float unit_at_least) {
  const int drop = 23 - mantissa_bits;
  const uint32_t half_below = (1u << (drop - 1)) - 1u;
  v16u normal = (magnitude - ((uint32_t)(least - 1) << 23) + half_below + ((magnitude >> drop) & 1u)) >> drop;
  v16u subnormal = (v16u)((v16f)magnitude + unit_at_least) - (v16u)(v16f)unit_at_least;
  return (v16u)choose_int((v16i)magnitude < (least << 23), (v16i)subnormal, (v16i)normal);
}

INLINE v16b to_e4m3fn(v16f x) {
  v16u magnitude = (v16u)x & 0x7fffffffu;
  v16u bits = to_small(magnitude, 3, 121, 0x1p14f);
  bits = (v16u)choose_int((v16i)magnitude >= 0x43f00000, (v16i)0x7f, (v16i)bits);
  return __builtin_convertvector(bits | (((v16u)x >> 24) & 0x80u), v16b);
}

INLINE v16b to_e5m2(v16f x) {
  v16u magnitude = (v16u)x & 0x7fffffffu;
  v16u bits = to_small(magnitude, 2, 113, 0x1p7f);
  bits = (v16u)choose_int((v16i)magnitude >= 0x47700000, (v16i)0x7c, (v16i)bits);
  bits = (v16u)choose_int((v16i)magnitude > 0x7f800000, (v16i)0x7f, (v16i)bits);
  return __builtin_convertvector(bits | (((v16u)x >> 24) & 0x80u), v16b);
}

INLINE void store_as(const int type, v16f x, void *destination, size_t index) {
  switch (type) {
  case POLLARD_F16: {
    v16h h = to_half(x);
    memcpy((uint16_t *)destination + index, &h, sizeof h);
    break;
  }
  case POLLARD_BF16: {
    v16h h = to_bfloat(x);
    memcpy((uint16_t *)destination + index, &h, sizeof h);
    break;
  }
  case POLLARD_F64: {
    v16d d = __builtin_convertvector(x, v16d);
    memcpy((double *)destination + index, &d, sizeof d);
    break;
  }
  case POLLARD_F8_E4M3FN: {
    v16b b = to_e4m3fn(x);
    memcpy((uint8_t *)destination + index, &b, sizeof b);
    break;
  }
  case POLLARD_F8_E5M2: {
    v16b b = to_e5m2(x);
    memcpy((uint8_t *)destination + index, &b, sizeof b);
    break;
  }
  default: store((float *)destination + index, x);
  }
}

INLINE void convert_from_f32_typed(const int type, const float *source, void *destination, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) store_as(type, load(source + i), destination, i);
  if (i < count) {
    uint64_t padded[16];
    store_as(type, load_some(source + i, count - i, 0), padded, 0);
    memcpy((char *)destination + i * size_of(type), padded, (count - i) * size_of(type));
  }
}

static void convert_from_f32(int type, const float *source, void *destination, size_t count) {
  switch (type) {
  case POLLARD_F32: memmove(destination, source, count * sizeof(float)); break;
  case POLLARD_F16: convert_from_f32_typed(POLLARD_F16, source, destination, count); break;
  case POLLARD_BF16: convert_from_f32_typed(POLLARD_BF16, source, destination, count); break;
  case POLLARD_F64: convert_from_f32_typed(POLLARD_F64, source, destination, count); break;
  case POLLARD_F8_E4M3FN: convert_from_f32_typed(POLLARD_F8_E4M3FN, source, destination, count); break;
  case POLLARD_F8_E5M2: convert_from_f32_typed(POLLARD_F8_E5M2, source, destination, count); break;
  }
}
