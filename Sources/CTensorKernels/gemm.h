// C = activation(A · B + bias) over tiles of TILE_ROWS rows and TILE_VECTORS vectors of columns.
//
// Every output has one accumulator that runs over ascending k; between blocks of k it rests in C, exactly.
#pragma once

#define TILE_ROWS POLLARD_TILE_ROWS
#define TILE_VECTORS POLLARD_TILE_VECTORS
#define TILE_COLUMNS (16 * TILE_VECTORS)

/// `rows` and `vectors` are constants where this is inlined, so that the accumulators live in registers.
/// Element (i, k) of A is a[i · a_row + k · a_step]; `b` has rows of 32 elements of `type`, `next` the same for vectors 2
/// and 3.
INLINE void tile(
  const int type, const int rows, const int vectors, const float *a, ptrdiff_t a_row, ptrdiff_t a_step, const void *b,
  const void *next, size_t depth, const float *bias, int resume, float *c, ptrdiff_t c_row) {
  const size_t row_bytes = POLLARD_PANEL * size_of(type);
  v16f sum[TILE_ROWS][4];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) sum[i][j] = resume ? load(c + i * c_row + 16 * j) : (v16f)0.0f;
  for (size_t k = 0; k < depth; k++) {
    v16f right[4];
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) right[j] = load_as(type, j < 2 ? b : next, 16 * (size_t)(j & 1));
    // Half panels are read with gaps, which hardware does not foresee.
    if (vectors == 1 && rows <= 4) {
      __builtin_prefetch((const char *)b + 16 * row_bytes);
      __builtin_prefetch((const char *)b + 16 * row_bytes + 64);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      v16f left = (v16f)a[i * a_row];
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) sum[i][j] = fused(left, right[j], sum[i][j]);
    }
    a += a_step;
    b = (const char *)b + row_bytes;
    next = (const char *)next + row_bytes;
  }
  if (bias) {
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
      v16f added = load(bias + 16 * j);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) sum[i][j] = sum[i][j] + added;
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) store(c + i * c_row + 16 * j, sum[i][j]);
}

#define PACKED_TILE(ROWS)                                                                                     \
  static void packed_tile_##ROWS(                                                                             \
    const float *a, const float *b, size_t depth, const float *bias, int resume, float *c, ptrdiff_t c_row) { \
    tile(POLLARD_F32, ROWS, TILE_VECTORS, a, 1, ROWS, b, b, depth, bias, resume, c, c_row);                   \
  }
PACKED_TILE(1)
PACKED_TILE(2)
#if TILE_ROWS >= 6
PACKED_TILE(3)
PACKED_TILE(4)
PACKED_TILE(5)
PACKED_TILE(6)
#endif
#if TILE_ROWS >= 12
PACKED_TILE(7)
PACKED_TILE(8)
PACKED_TILE(9)
PACKED_TILE(10)
PACKED_TILE(11)
PACKED_TILE(12)
#endif
#undef PACKED_TILE

typedef void (*packed_tile_function)(const float *, const float *, size_t, const float *, int, float *, ptrdiff_t);

static const packed_tile_function packed_tiles[TILE_ROWS] = {
  packed_tile_1, packed_tile_2,
#if TILE_ROWS >= 6
  packed_tile_3, packed_tile_4, packed_tile_5, packed_tile_6,
#endif
#if TILE_ROWS >= 12
  packed_tile_7, packed_tile_8, packed_tile_9, packed_tile_10, packed_tile_11, packed_tile_12,
#endif
};

/// One packed tile, `width` of whose TILE_COLUMNS columns exist in C; `bias` (or NULL) has as many.
INLINE void tile_in_place(
  size_t rows, const float *a, const float *b, size_t depth, const float *bias, int resume, float *c,
  ptrdiff_t c_row, size_t width) {
  if (width >= TILE_COLUMNS) {
    packed_tiles[rows - 1](a, b, depth, bias, resume, c, c_row);
    return;
  }
  float padded[TILE_ROWS * TILE_COLUMNS] = {0}, padded_bias[TILE_COLUMNS] = {0};
  if (resume)
    for (size_t i = 0; i < rows; i++)
      memcpy(padded + i * TILE_COLUMNS, c + (ptrdiff_t)i * c_row, width * sizeof(float));
  if (bias) memcpy(padded_bias, bias, width * sizeof(float));
  packed_tiles[rows - 1](a, b, depth, bias ? padded_bias : NULL, resume, padded, TILE_COLUMNS);
  for (size_t i = 0; i < rows; i++)
    memcpy(c + (ptrdiff_t)i * c_row, padded + i * TILE_COLUMNS, width * sizeof(float));
}

#if TILE_ROWS >= 12
#define STREAMED_ROWS 4
#else
#define STREAMED_ROWS 1
#endif

typedef void (*streamed_function)(
  const float *, ptrdiff_t, const void *, const void *, size_t, const float *, float *);

/// Up to four rows, straight from A: B is read once, from front to back, and widened in registers.
#define STREAMED(NAME, TYPE, ROWS, PANELS)                                                               \
  static void streamed_##NAME##_##ROWS##x##PANELS(                                                       \
    const float *a, ptrdiff_t a_row, const void *b, const void *next, size_t depth, const float *bias,   \
    float *c) {                                                                                          \
    tile(TYPE, ROWS, 2 * PANELS, a, a_row, 1, b, next, depth, bias, 0, c, PANELS *POLLARD_PANEL);         \
  }
#if STREAMED_ROWS == 4
#define STREAMED_TYPE(NAME, TYPE)                                                      \
  STREAMED(NAME, TYPE, 1, 1)                                                           \
  STREAMED(NAME, TYPE, 1, 2)                                                           \
  STREAMED(NAME, TYPE, 2, 1)                                                           \
  STREAMED(NAME, TYPE, 2, 2)                                                           \
  STREAMED(NAME, TYPE, 3, 1)                                                           \
  STREAMED(NAME, TYPE, 3, 2)                                                           \
  STREAMED(NAME, TYPE, 4, 1)                                                           \
  STREAMED(NAME, TYPE, 4, 2)                                                           \
  static const streamed_function streamed_##NAME[STREAMED_ROWS][2] = {                 \
    {streamed_##NAME##_1x1, streamed_##NAME##_1x2}, {streamed_##NAME##_2x1, streamed_##NAME##_2x2}, \
    {streamed_##NAME##_3x1, streamed_##NAME##_3x2}, {streamed_##NAME##_4x1, streamed_##NAME##_4x2}, \
  };
#else
#define STREAMED_TYPE(NAME, TYPE)                                                      \
  STREAMED(NAME, TYPE, 1, 1)                                                           \
  STREAMED(NAME, TYPE, 1, 2)                                                           \
  static const streamed_function streamed_##NAME[STREAMED_ROWS][2] = {                 \
    {streamed_##NAME##_1x1, streamed_##NAME##_1x2},                                    \
  };
#endif
STREAMED_TYPE(f32, POLLARD_F32)
STREAMED_TYPE(f16, POLLARD_F16)
STREAMED_TYPE(bf16, POLLARD_BF16)
#undef STREAMED_TYPE
#undef STREAMED

static void gemm_streamed(
  const pollard_gemm *g, size_t limit, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  size_t rows = row_end - row_begin;
  const float *a = g->a + (ptrdiff_t)row_begin * g->a_row_stride;
  const size_t panel_bytes = g->depth * POLLARD_PANEL * size_of(g->packed_type);
  const streamed_function *functions = g->packed_type == POLLARD_BF16  ? streamed_bf16[rows - 1]
                                       : g->packed_type == POLLARD_F16 ? streamed_f16[rows - 1]
                                                                       : streamed_f32[rows - 1];
  for (size_t p = panel_begin; p < panel_end; p += 2) {
    size_t panels = panel_end - p < 2 ? 1 : 2;
    size_t column = p * POLLARD_PANEL;
    size_t left = g->columns - column;
    size_t width = left < panels * POLLARD_PANEL ? left : panels * POLLARD_PANEL;
    float out[STREAMED_ROWS * 2 * POLLARD_PANEL], bias[2 * POLLARD_PANEL] = {0};
    if (g->bias) memcpy(bias, g->bias + column, width * sizeof(float));
    const char *b = (const char *)g->packed + p * panel_bytes;
    const char *next = panels == 2 ? b + panel_bytes : b;
    functions[panels - 1](a, g->a_row_stride, b, next, limit, g->bias ? bias : NULL, out);
    float *c = g->c + (ptrdiff_t)row_begin * g->c_row_stride + column;
    unary(g->activation, rows, width, out, (ptrdiff_t)(panels * POLLARD_PANEL), c, g->c_row_stride);
  }
}

/// Rows [k, k + depth) of a packed panel as float32: where they lie, or in `wide` when they are narrower.
INLINE const float *wide_panel(
  int type, const void *packed, size_t panel, size_t whole_depth, size_t k, size_t depth, float *wide) {
  const size_t first = (panel * whole_depth + k) * POLLARD_PANEL;
  if (type == POLLARD_F32) return (const float *)packed + first;
  convert_to_f32(type, (const char *)packed + first * size_of(type), wide, depth * POLLARD_PANEL);
  return wide;
}

/// Asks for the part `index` of `count` of what is read next; past the end of a matrix that has no effect.
INLINE void prefetch_slice(const char *next, size_t bytes, size_t index, size_t count) {
  const size_t end = bytes * (index + 1) / count;
  for (size_t i = bytes * index / count & ~(size_t)63; i < end; i += 64) __builtin_prefetch(next + i, 0, 2);
}

/// Uses only the first `limit` (at most depth) terms of each sum.
static void gemm_limited(
  const pollard_gemm *g, size_t limit, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  if (row_begin >= row_end || panel_begin >= panel_end) return;
  if (row_end - row_begin <= STREAMED_ROWS) {
    gemm_streamed(g, limit, row_begin, row_end, panel_begin, panel_end);
    return;
  }
  float *packed_a = pollard_thread_block(), *wide = packed_a + POLLARD_GEMM_FLOATS + 16;
  for (size_t first = row_begin; first < row_end; first += POLLARD_BLOCK_ROWS) {
    size_t rows = row_end - first < POLLARD_BLOCK_ROWS ? row_end - first : POLLARD_BLOCK_ROWS;
    size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    size_t k = 0;
    do {
      size_t depth = limit - k < POLLARD_BLOCK_DEPTH ? limit - k : POLLARD_BLOCK_DEPTH;
      int last = k + depth == limit;
      // Rows are spread evenly: tile t holds rows [rows · t / tiles, rows · (t + 1) / tiles).
      for (size_t t = 0; t < tiles; t++) {
        size_t from = rows * t / tiles, to = rows * (t + 1) / tiles;
        const float *a = g->a + (ptrdiff_t)(first + from) * g->a_row_stride + k;
        pack_rows(packed_a + from * depth, a, g->a_row_stride, to - from, depth);
      }
      for (size_t p = panel_begin; p < panel_end; p++) {
        const float *panel = wide_panel(g->packed_type, g->packed, p, g->depth, k, depth, wide);
        const size_t row_bytes = POLLARD_PANEL * size_of(g->packed_type), next_bytes = depth * row_bytes;
        const char *next = (const char *)g->packed
                           + (p + 1 < panel_end ? (p + 1) * g->depth + k : panel_begin * g->depth + k + depth)
                               * row_bytes;
        for (size_t part = 0; part < POLLARD_PANEL && p * POLLARD_PANEL + part < g->columns; part += TILE_COLUMNS) {
          size_t column = p * POLLARD_PANEL + part;
          size_t width = g->columns - column < TILE_COLUMNS ? g->columns - column : TILE_COLUMNS;
          const float *bias = g->bias && last ? g->bias + column : NULL;
          for (size_t t = 0; t < tiles; t++) {
            const size_t slice = part / TILE_COLUMNS * tiles + t;
            prefetch_slice(next, next_bytes, slice, tiles * (POLLARD_PANEL / TILE_COLUMNS));
            size_t from = rows * t / tiles, to = rows * (t + 1) / tiles;
            float *c = g->c + (ptrdiff_t)(first + from) * g->c_row_stride + column;
            tile_in_place(
              to - from, packed_a + from * depth, panel + part, depth, bias, k > 0, c, g->c_row_stride, width);
            if (last && g->activation != POLLARD_COPY)
              unary(g->activation, to - from, width, c, g->c_row_stride, c, g->c_row_stride);
          }
        }
      }
      k += depth;
    } while (k < limit);
  }
}

static void gemm(const pollard_gemm *g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  gemm_limited(g, g->depth, row_begin, row_end, panel_begin, panel_end);
}
