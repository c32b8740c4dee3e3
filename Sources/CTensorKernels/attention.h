// Attention over strips of queries: scores, row softmax, weighted sum of values in ascending order of keys.
#pragma once

typedef struct attention_scratch {
  float *keys;    // Kᵀ in panels
  float *values;  // V in panels
  float *scores;  // [POLLARD_ATTENTION_STRIP, stride]
  size_t stride;
} attention_scratch;

INLINE size_t panels_of(size_t columns) { return (columns + POLLARD_PANEL - 1) / POLLARD_PANEL; }

INLINE attention_scratch divide_scratch(const pollard_attention *a, float *scratch) {
  attention_scratch s;
  s.stride = panels_of(a->keys) * POLLARD_PANEL;
  s.keys = scratch;
  s.values = s.keys + s.stride * a->head_dimension;
  s.scores = s.values + panels_of(a->value_dimension) * POLLARD_PANEL * a->keys;
  return s;
}

/// The keys [begin, end) that the causal and window rules let `query` see.
INLINE void visible_keys(const pollard_attention *a, size_t query, ptrdiff_t *begin, ptrdiff_t *end) {
  ptrdiff_t position = (ptrdiff_t)query + a->causal_offset;
  *begin = 0;
  *end = (ptrdiff_t)a->keys;
  if (a->causal && position + 1 < *end) *end = position + 1 < 0 ? 0 : position + 1;
  if (a->window > 0 && position + 1 - (ptrdiff_t)a->window > 0) *begin = position + 1 - (ptrdiff_t)a->window;
}

/// Turns the dot products of one query, for `limit` keys, into weights.
INLINE void weigh(const pollard_attention *a, size_t query, float *row, size_t limit) {
  const float *bias = a->bias ? a->bias + (ptrdiff_t)query * a->bias_stride : NULL;
  const uint8_t *mask = a->mask ? a->mask + (ptrdiff_t)query * a->mask_stride : NULL;
  ptrdiff_t begin, end;
  visible_keys(a, query, &begin, &end);
  const v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  v16f most = (v16f)(float)-INFINITY;
  FOR_EACH_CHUNK(limit) {
    v16f s = load(row + i) * a->scale;
    if (a->softcap > 0) s = a->softcap * hyperbolic_tangent(s / a->softcap);
    if (bias) s = s + load_some(bias + i, count, 0.0f);
    v16i key = lane + (int32_t)i;
    v16i allowed = (key >= (int32_t)begin) & (key < (int32_t)end);
    if (mask) {
      v16b flags = (v16b)(uint8_t)0;
      if (count == 16) memcpy(&flags, mask + i, 16);
      else for (size_t j = 0; j < count; j++) flags[j] = mask[i + j];
      allowed &= __builtin_convertvector(flags, v16i) != 0;
    }
    s = choose(allowed, s, (v16f)(float)-INFINITY);
    store(row + i, s);
    most = maximum(most, s);
  }
  float shift = fold_maximum(most);
  // A query that sees nothing: exp(-inf - 0) = +0 everywhere, and +0 / 1.
  if (shift == -INFINITY) shift = 0;
  v16f sum = (v16f)0.0f;
  FOR_EACH_CHUNK(limit) {
    (void)count;
    v16f e = exponential(load(row + i) - shift);
    store(row + i, e);
    sum = sum + e;
  }
  float total = fold_sum(sum);
  if (total == 0) total = 1;
  FOR_EACH_CHUNK(limit) {
    (void)count;
    store(row + i, load(row + i) / total);
  }
}

static void attention(const pollard_attention *a, size_t query_begin, size_t query_end, float *scratch) {
  attention_scratch s = divide_scratch(a, scratch);
  const size_t key_panels = panels_of(a->keys), value_panels = panels_of(a->value_dimension);
  pack_panels(s.keys, POLLARD_F32, a->key, a->key_stride, 1, a->head_dimension, a->keys, 0, key_panels);
  pack_panels(s.values, POLLARD_F32, a->value, a->value_stride, 0, a->keys, a->value_dimension, 0, value_panels);
  for (size_t first = query_begin; first < query_end; first += POLLARD_ATTENTION_STRIP) {
    size_t rows = query_end - first < POLLARD_ATTENTION_STRIP ? query_end - first : POLLARD_ATTENTION_STRIP;
    // The last query of the whole strip sees the most keys, whether or not this call computes it.
    size_t last = first + POLLARD_ATTENTION_STRIP - 1 < a->queries ? first + POLLARD_ATTENTION_STRIP - 1 : a->queries - 1;
    ptrdiff_t begin, end;
    visible_keys(a, last, &begin, &end);
    size_t limit = (size_t)end;
    const pollard_gemm scores = {
      .a = a->query + (ptrdiff_t)first * a->query_stride, .a_row_stride = a->query_stride, .packed = s.keys,
      .c = s.scores, .c_row_stride = (ptrdiff_t)s.stride, .columns = s.stride, .depth = a->head_dimension,
    };
    gemm(&scores, 0, rows, 0, panels_of(limit));
    for (size_t r = 0; r < rows; r++) weigh(a, first + r, s.scores + r * s.stride, limit);
    const pollard_gemm sums = {
      .a = s.scores, .a_row_stride = (ptrdiff_t)s.stride, .packed = s.values,
      .c = a->output + (ptrdiff_t)first * a->output_stride, .c_row_stride = a->output_stride,
      .columns = a->value_dimension, .depth = a->keys,
    };
    gemm_limited(&sums, limit, 0, rows, 0, value_panels);
  }
}
