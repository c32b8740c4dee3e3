// Packing and unpacking of GGML blocks, one block at a time, in the reference's order of single-precision operations.
#include <math.h>
#include <string.h>

#include "CTensorKernels.h"

#pragma STDC FP_CONTRACT OFF

static float load_half(const uint8_t *p) {
  float out;
  pollard_convert_to_f32(POLLARD_F16, p, &out, 1);
  return out;
}

static void store_half(uint8_t *p, float x) { pollard_convert_from_f32(POLLARD_F16, &x, p, 1); }

static float rounded_half(float x) {
  uint8_t bytes[2];
  store_half(bytes, x);
  return load_half(bytes);
}

static int nearest(float x) {
  float shifted = x + 12582912.0f;
  int bits;
  memcpy(&bits, &shifted, 4);
  return (bits & 0x007fffff) - 0x00400000;
}

static int clamp(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

static void k_scale(const uint8_t *sc, int k, int *scale, int *min) {
  if (k < 4) {
    *scale = sc[k] & 63;
    *min = sc[k + 4] & 63;
  } else {
    *scale = (sc[k + 4] & 15) | ((sc[k - 4] >> 6) << 4);
    *min = (sc[k + 4] >> 4) | ((sc[k] >> 6) << 4);
  }
}

// ---- Unpacking

static void decode_32(int format, const uint8_t *b, float *y) {
  float d = load_half(b);
  uint32_t high = 0;
  switch (format) {
  case 2:
    for (int j = 0; j < 16; j++) {
      y[j] = (float)((b[2 + j] & 15) - 8) * d;
      y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
    }
    break;
  case 3: {
    float m = load_half(b + 2);
    for (int j = 0; j < 16; j++) {
      y[j] = (float)(b[4 + j] & 15) * d + m;
      y[j + 16] = (float)(b[4 + j] >> 4) * d + m;
    }
    break;
  }
  case 6:
    memcpy(&high, b + 2, 4);
    for (int j = 0; j < 16; j++) {
      y[j] = (float)(((b[6 + j] & 15) | (int)((high >> j) & 1) << 4) - 16) * d;
      y[j + 16] = (float)(((b[6 + j] >> 4) | (int)((high >> (j + 16)) & 1) << 4) - 16) * d;
    }
    break;
  case 7: {
    float m = load_half(b + 2);
    memcpy(&high, b + 4, 4);
    for (int j = 0; j < 16; j++) {
      y[j] = (float)((b[8 + j] & 15) | (int)((high >> j) & 1) << 4) * d + m;
      y[j + 16] = (float)((b[8 + j] >> 4) | (int)((high >> (j + 16)) & 1) << 4) * d + m;
    }
    break;
  }
  default:
    for (int j = 0; j < 32; j++) y[j] = (float)(int8_t)b[2 + j] * d;
  }
}

static void decode_k(int format, const uint8_t *b, float *y) {
  if (format == 14) {
    float d = load_half(b + 208);
    for (int half = 0; half < 2; half++) {
      const uint8_t *a = b + 64 * half, *h = b + 128 + 32 * half;
      const int8_t *sc = (const int8_t *)b + 192 + 8 * half;
      float *out = y + 128 * half;
      for (int l = 0; l < 32; l++) {
        int is = l / 16;
        int q1 = (int8_t)((a[l] & 15) | (h[l] & 3) << 4) - 32;
        int q2 = (int8_t)((a[l + 32] & 15) | ((h[l] >> 2) & 3) << 4) - 32;
        int q3 = (int8_t)((a[l] >> 4) | ((h[l] >> 4) & 3) << 4) - 32;
        int q4 = (int8_t)((a[l + 32] >> 4) | (h[l] >> 6) << 4) - 32;
        out[l] = d * (float)sc[is] * (float)q1;
        out[l + 32] = d * (float)sc[is + 2] * (float)q2;
        out[l + 64] = d * (float)sc[is + 4] * (float)q3;
        out[l + 96] = d * (float)sc[is + 6] * (float)q4;
      }
    }
    return;
  }
  float d = load_half(b), dmin = load_half(b + 2);
  const uint8_t *sc = b + 4, *qs = b + (format == 12 ? 16 : 48), *qh = b + 16;
  for (int k = 0; k < 8; k++) {
    int scale, min;
    k_scale(sc, k, &scale, &min);
    float d1 = d * (float)scale, m1 = dmin * (float)min;
    for (int l = 0; l < 32; l++) {
      int byte = qs[32 * (k / 2) + l];
      int q = k % 2 ? byte >> 4 : byte & 15;
      if (format == 13 && (qh[l] >> k & 1)) q += 16;
      y[32 * k + l] = d1 * (float)q - m1;
    }
  }
}

// ---- Packing

static void encode_32(int format, const float *x, uint8_t *b) {
  if (format == 8) {
    float largest = 0;
    for (int j = 0; j < 32; j++) largest = fmaxf(largest, fabsf(x[j]));
    float d = largest / 127.0f, id = d != 0 ? 1.0f / d : 0.0f;
    store_half(b, d);
    for (int j = 0; j < 32; j++) b[2 + j] = (uint8_t)(int8_t)roundf(x[j] * id);
    return;
  }
  int five = format >= 6;
  uint8_t q[32];
  if (format == 2 || format == 6) {
    float largest = 0, signed_largest = 0;
    for (int j = 0; j < 32; j++)
      if (fabsf(x[j]) > largest) {
        largest = fabsf(x[j]);
        signed_largest = x[j];
      }
    float middle = five ? 16.0f : 8.0f, d = signed_largest / -middle, id = d != 0 ? 1.0f / d : 0.0f;
    store_half(b, d);
    for (int j = 0; j < 32; j++) {
      int code = (int)(int8_t)(x[j] * id + (middle + 0.5f));
      q[j] = (uint8_t)(code > 2 * (int)middle - 1 ? 2 * (int)middle - 1 : code);
    }
  } else {
    float low = x[0], high = x[0];
    for (int j = 1; j < 32; j++) {
      if (x[j] < low) low = x[j];
      if (x[j] > high) high = x[j];
    }
    float top = five ? 31.0f : 15.0f, d = (high - low) / top, id = d != 0 ? 1.0f / d : 0.0f;
    store_half(b, d);
    store_half(b + 2, low);
    for (int j = 0; j < 32; j++) {
      int code = (int)(int8_t)((x[j] - low) * id + 0.5f);
      q[j] = (uint8_t)(!five && code > 15 ? 15 : code);
    }
  }
  uint8_t *out = b + (format == 2 ? 2 : format == 3 ? 4 : format == 6 ? 6 : 8);
  uint32_t high_bits = 0;
  for (int j = 0; j < 16; j++) {
    out[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
    high_bits |= (uint32_t)(q[j] >> 4 & 1) << j | (uint32_t)(q[j + 16] >> 4 & 1) << (j + 16);
  }
  if (five) memcpy(b + (format == 6 ? 2 : 4), &high_bits, 4);
}

static float search_scale_and_min(
  int n, int top, const float *x, const float *w, uint8_t *codes, float *negated_min, float rmin, float rdelta,
  int steps) {
  float low = x[0], high = x[0], sum_w = w[0], sum_x = sum_w * x[0];
  for (int i = 1; i < n; i++) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    sum_w += w[i];
    sum_x += w[i] * x[i];
  }
  if (low > 0) low = 0;
  if (high == low) {
    memset(codes, 0, (size_t)n);
    *negated_min = -low;
    return 0;
  }
  float iscale = (float)top / (high - low), scale = 1 / iscale, best = 0;
  for (int i = 0; i < n; i++) {
    codes[i] = (uint8_t)clamp(nearest(iscale * (x[i] - low)), 0, top);
    float diff = scale * codes[i] + low - x[i];
    diff = diff * diff;
    best += w[i] * diff;
  }
  uint8_t trial[32];
  for (int s = 0; s <= steps; s++) {
    iscale = (rmin + rdelta * (float)s + (float)top) / (high - low);
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (int i = 0; i < n; i++) {
      int l = clamp(nearest(iscale * (x[i] - low)), 0, top);
      trial[i] = (uint8_t)l;
      sum_l += w[i] * (float)l;
      sum_l2 += w[i] * (float)l * (float)l;
      sum_xl += w[i] * (float)l * x[i];
    }
    float det = sum_w * sum_l2 - sum_l * sum_l;
    if (det > 0) {
      float new_scale = (sum_w * sum_xl - sum_x * sum_l) / det;
      float new_min = (sum_l2 * sum_x - sum_l * sum_xl) / det;
      if (new_min > 0) {
        new_min = 0;
        new_scale = sum_xl / sum_l2;
      }
      float error = 0;
      for (int i = 0; i < n; i++) {
        float diff = new_scale * trial[i] + new_min - x[i];
        diff = diff * diff;
        error += w[i] * diff;
      }
      if (error < best) {
        memcpy(codes, trial, (size_t)n);
        best = error;
        scale = new_scale;
        low = new_min;
      }
    }
  }
  *negated_min = -low;
  return scale;
}

static void encode_k(int format, const float *x, uint8_t *b) {
  int five = format == 13, top = five ? 31 : 15;
  uint8_t codes[256];
  float scales[8], mins[8], max_scale = 0, max_min = 0;
  for (int k = 0; k < 8; k++) {
    const float *part = x + 32 * k;
    float squares = 0, w[32];
    for (int l = 0; l < 32; l++) squares += part[l] * part[l];
    float mean = sqrtf(squares / 32);
    for (int l = 0; l < 32; l++) w[l] = mean + fabsf(part[l]);
    scales[k] = search_scale_and_min(
      32, top, part, w, codes + 32 * k, &mins[k], five ? -0.5f : -1.0f, 0.1f, five ? 15 : 20);
    if (scales[k] > max_scale) max_scale = scales[k];
    if (mins[k] > max_min) max_min = mins[k];
  }
  float inv_scale = max_scale > 0 ? 63.0f / max_scale : 0, inv_min = max_min > 0 ? 63.0f / max_min : 0;
  uint8_t *sc = b + 4;
  memset(sc, 0, 12);
  for (int k = 0; k < 8; k++) {
    int s = (uint8_t)nearest(inv_scale * scales[k]), m = (uint8_t)nearest(inv_min * mins[k]);
    s = s > 63 ? 63 : s;
    m = m > 63 ? 63 : m;
    if (k < 4) {
      sc[k] = (uint8_t)s;
      sc[k + 4] = (uint8_t)m;
    } else {
      sc[k + 4] = (uint8_t)((s & 15) | (m & 15) << 4);
      sc[k - 4] |= (uint8_t)(s >> 4 << 6);
      sc[k] |= (uint8_t)(m >> 4 << 6);
    }
  }
  store_half(b, max_scale / 63.0f);
  store_half(b + 2, max_min / 63.0f);
  float d = load_half(b), dmin = load_half(b + 2);
  for (int k = 0; k < 8; k++) {
    int s, m;
    k_scale(sc, k, &s, &m);
    float dk = d * (float)s;
    if (dk == 0) continue;
    float mk = dmin * (float)m;
    for (int l = 0; l < 32; l++) codes[32 * k + l] = (uint8_t)clamp(nearest((x[32 * k + l] + mk) / dk), 0, top);
  }
  uint8_t *qs = b + (five ? 48 : 16);
  if (five) memset(b + 16, 0, 32);
  for (int k = 0; k < 8; k += 2)
    for (int l = 0; l < 32; l++) {
      int a = codes[32 * k + l], c = codes[32 * (k + 1) + l];
      qs[16 * k + l] = (uint8_t)((a & 15) | (c & 15) << 4);
      if (five) b[16 + l] |= (uint8_t)((a >> 4) << k | (c >> 4) << (k + 1));
    }
}

static float search_scale(const float *x, int8_t *codes) {
  float largest = 0, signed_largest = 0;
  for (int i = 0; i < 16; i++)
    if (fabsf(x[i]) > largest) {
      largest = fabsf(x[i]);
      signed_largest = x[i];
    }
  if (largest < 1e-15f) {
    memset(codes, 0, 16);
    return 0;
  }
  float iscale = -32.0f / signed_largest, sum_lx = 0, sum_l2 = 0;
  for (int i = 0; i < 16; i++) {
    int l = clamp(nearest(iscale * x[i]), -32, 31);
    codes[i] = (int8_t)(l + 32);
    float w = x[i] * x[i];
    sum_lx += w * x[i] * (float)l;
    sum_l2 += w * (float)l * (float)l;
  }
  float scale = sum_l2 != 0 ? sum_lx / sum_l2 : 0, best = scale * sum_lx;
  for (int s = -9; s <= 9; s++) {
    if (s == 0) continue;
    iscale = -(32.0f + 0.1f * (float)s) / signed_largest;
    sum_lx = sum_l2 = 0;
    for (int i = 0; i < 16; i++) {
      int l = clamp(nearest(iscale * x[i]), -32, 31);
      float w = x[i] * x[i];
      sum_lx += w * x[i] * (float)l;
      sum_l2 += w * (float)l * (float)l;
    }
    if (sum_l2 > 0 && sum_lx * sum_lx > best * sum_l2) {
      for (int i = 0; i < 16; i++) codes[i] = (int8_t)(32 + clamp(nearest(iscale * x[i]), -32, 31));
      scale = sum_lx / sum_l2;
      best = scale * sum_lx;
    }
  }
  return scale;
}

static void encode_q6_k(const float *x, uint8_t *b) {
  int8_t codes[256];
  float scales[16], largest = 0, signed_largest = 0;
  for (int k = 0; k < 16; k++) {
    scales[k] = search_scale(x + 16 * k, codes + 16 * k);
    if (fabsf(scales[k]) > largest) {
      largest = fabsf(scales[k]);
      signed_largest = scales[k];
    }
  }
  if (largest < 1e-15f) {
    memset(b, 0, 210);
    return;
  }
  float iscale = -128.0f / signed_largest;
  store_half(b + 208, 1 / iscale);
  int8_t *sc = (int8_t *)b + 192;
  for (int k = 0; k < 16; k++) {
    int s = nearest(iscale * scales[k]);
    sc[k] = (int8_t)(s > 127 ? 127 : s);
  }
  float half = load_half(b + 208);
  for (int k = 0; k < 16; k++) {
    float d = half * (float)sc[k];
    if (d == 0) continue;
    for (int l = 0; l < 16; l++) codes[16 * k + l] = (int8_t)(clamp(nearest(x[16 * k + l] / d), -32, 31) + 32);
  }
  for (int part = 0; part < 2; part++)
    for (int l = 0; l < 32; l++) {
      const int8_t *c = codes + 128 * part + l;
      b[64 * part + l] = (uint8_t)((c[0] & 15) | (c[64] & 15) << 4);
      b[64 * part + 32 + l] = (uint8_t)((c[32] & 15) | (c[96] & 15) << 4);
      b[128 + 32 * part + l] = (uint8_t)(c[0] >> 4 | c[32] >> 4 << 2 | c[64] >> 4 << 4 | c[96] >> 4 << 6);
    }
}

void pollard_unpack_blocks(int format, const void *source, float *out, size_t count) {
  static const int sizes[15] = {0, 0, 18, 20, 0, 0, 22, 24, 34, 0, 0, 0, 144, 176, 210};
  const uint8_t *b = source;
  for (size_t i = 0; i < count; i++) {
    if (format < 12) decode_32(format, b + i * (size_t)sizes[format], out + 32 * i);
    else decode_k(format, b + i * (size_t)sizes[format], out + 256 * i);
  }
}

void pollard_pack_blocks(int format, const float *x, void *target, size_t count) {
  static const int sizes[15] = {0, 0, 18, 20, 0, 0, 22, 24, 34, 0, 0, 0, 144, 176, 210};
  uint8_t *b = target;
  for (size_t i = 0; i < count; i++) {
    uint8_t *block = b + i * (size_t)sizes[format];
    if (format < 12) encode_32(format, x + 32 * i, block);
    else if (format == 14) encode_q6_k(x + 256 * i, block);
    else encode_k(format, x + 256 * i, block);
  }
}
