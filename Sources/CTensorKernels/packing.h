// The right-hand matrix in panels of 32 columns, and blocks of the left-hand one.
#pragma once

#define LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_QUADS(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_QUADS(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define EVEN_LANES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_LANES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

/// Transposes a 16 × 16 block in place.
INLINE void transpose16(v16f m[16]) {
  v16f quads[4][4];
#pragma clang loop unroll(full)
  for (int g = 0; g < 4; g++) {
    v16f a = LOW_PAIRS(m[4 * g], m[4 * g + 1]), b = HIGH_PAIRS(m[4 * g], m[4 * g + 1]);
    v16f c = LOW_PAIRS(m[4 * g + 2], m[4 * g + 3]), d = HIGH_PAIRS(m[4 * g + 2], m[4 * g + 3]);
    quads[g][0] = LOW_QUADS(a, c);
    quads[g][1] = HIGH_QUADS(a, c);
    quads[g][2] = LOW_QUADS(b, d);
    quads[g][3] = HIGH_QUADS(b, d);
  }
  // quads[g][j], four-lane L: column 4L + j of rows 4g to 4g + 3.
#pragma clang loop unroll(full)
  for (int j = 0; j < 4; j++) {
    v16f even_low = EVEN_LANES(quads[0][j], quads[1][j]), even_high = EVEN_LANES(quads[2][j], quads[3][j]);
    v16f odd_low = ODD_LANES(quads[0][j], quads[1][j]), odd_high = ODD_LANES(quads[2][j], quads[3][j]);
    m[j] = EVEN_LANES(even_low, even_high);
    m[8 + j] = ODD_LANES(even_low, even_high);
    m[4 + j] = EVEN_LANES(odd_low, odd_high);
    m[12 + j] = ODD_LANES(odd_low, odd_high);
  }
}

/// Packed matrices of at least this many bytes are written past the caches, which cannot hold them anyway.
#define STREAMING_BYTES (2u << 20)

/// `streaming`: `p` lies on a multiple of 64 bytes and the line is not wanted in a cache.
INLINE void store_panel(float *p, v16f v, int streaming) {
#if defined(__x86_64__)
  if (streaming) {
    __builtin_nontemporal_store(v, (v16f *)p);
    return;
  }
#else
  (void)streaming;
#endif
  store(p, v);
}

/// One panel of a matrix stored with its depth contiguous: `width` source rows become the panel's columns.
INLINE void pack_transposed_panel(
  const int type, float *panel, const char *source, ptrdiff_t stride, size_t depth, size_t width, int streaming) {
  const ptrdiff_t row_bytes = stride * (ptrdiff_t)size_of(type);
  for (size_t k = 0; k < depth; k += 16) {
    size_t steps = depth - k < 16 ? depth - k : 16;
    for (size_t half = 0; half < 2; half++) {
      v16f block[16];
      if (steps == 16 && width >= 16 * half + 16) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
          const char *row = source + (ptrdiff_t)(16 * half + (size_t)i) * row_bytes;
          __builtin_prefetch(row + (k + 32) * size_of(type), 0, 2);
          block[i] = load_as(type, row, k);
        }
        transpose16(block);
        float *out = panel + k * POLLARD_PANEL + 16 * half;
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) store_panel(out + i * POLLARD_PANEL, block[i], streaming);
      } else {
        for (size_t i = 0; i < 16; i++)
          block[i] = 16 * half + i < width
            ? load_some_as(type, source + (ptrdiff_t)(16 * half + i) * row_bytes, k, steps)
            : (v16f)0.0f;
        transpose16(block);
        for (size_t i = 0; i < steps; i++) store(panel + (k + i) * POLLARD_PANEL + 16 * half, block[i]);
      }
    }
  }
}

INLINE void pack_panels_typed(
  const int type, float *packed, const char *source, ptrdiff_t stride, int transposed, size_t depth, size_t columns,
  size_t panel_begin, size_t panel_end, int streaming) {
  if (transposed) {
    for (size_t p = panel_begin; p < panel_end; p++) {
      size_t column = p * POLLARD_PANEL;
      size_t width = columns - column < POLLARD_PANEL ? columns - column : POLLARD_PANEL;
      const char *rows = source + (ptrdiff_t)column * stride * (ptrdiff_t)size_of(type);
      pack_transposed_panel(type, packed + column * depth, rows, stride, depth, width, streaming);
    }
    return;
  }
  // Several panels at a time, so that each source row is read in long runs.
  for (size_t first = panel_begin; first < panel_end; first += 32) {
    size_t last = first + 32 < panel_end ? first + 32 : panel_end;
    for (size_t k = 0; k < depth; k++) {
      const char *row = source + (ptrdiff_t)k * stride * (ptrdiff_t)size_of(type);
      for (size_t p = first; p < last; p++) {
        size_t column = p * POLLARD_PANEL;
        float *out = packed + column * depth + k * POLLARD_PANEL;
        if (column + POLLARD_PANEL <= columns) {
          const char *below = row + stride * (ptrdiff_t)size_of(type) + column * size_of(type);
          __builtin_prefetch(below, 0, 2);
          if (size_of(type) >= 4) __builtin_prefetch(below + 64, 0, 2);
          store_panel(out, load_as(type, row, column), streaming);
          store_panel(out + 16, load_as(type, row, column + 16), streaming);
        } else {
          size_t width = columns - column;
          store(out, load_some_as(type, row, column, width));
          store(out + 16, width > 16 ? load_some_as(type, row, column + 16, width - 16) : (v16f)0.0f);
        }
      }
    }
  }
}

static void pack_panels(
  float *packed, int type, const void *source, ptrdiff_t stride, int transposed, size_t depth, size_t columns,
  size_t panel_begin, size_t panel_end) {
  const int streaming = depth * columns >= STREAMING_BYTES / sizeof(float) && (uintptr_t)packed % 64 == 0;
#define PACK(TYPE)                                                                                                  \
  case TYPE:                                                                                                        \
    pack_panels_typed(TYPE, packed, source, stride, transposed, depth, columns, panel_begin, panel_end, streaming); \
    break
  switch (type) {
    PACK(POLLARD_F32);
    PACK(POLLARD_F16);
    PACK(POLLARD_BF16);
    PACK(POLLARD_F64);
    PACK(POLLARD_F8_E4M3FN);
    PACK(POLLARD_F8_E5M2);
  }
#undef PACK
#if defined(__x86_64__)
  // Streaming stores are not ordered by the release that hands the matrix to other threads.
  if (streaming) __builtin_ia32_sfence();
#endif
}

/// `rows` (at most 16) rows of A as [depth][rows]. Writes up to 16 floats past the end.
INLINE void pack_rows(float *out, const float *a, ptrdiff_t stride, size_t rows, size_t depth) {
  for (size_t k = 0; k < depth; k += 16) {
    size_t steps = depth - k < 16 ? depth - k : 16;
    v16f block[16];
    for (size_t i = 0; i < 16; i++)
      block[i] = i < rows ? load_some(a + (ptrdiff_t)i * stride + k, steps, 0.0f) : (v16f)0.0f;
    transpose16(block);
    for (size_t i = 0; i < steps; i++) store(out + (k + i) * rows, block[i]);
  }
}
