// Convolution over two axes as a product whose right-hand matrix, the patches, is gathered panel by panel.
//
// Every output has one accumulator that runs over ascending channel, then window position; vectors run over outputs.
#pragma once

/// A piece of a panel's row: `count` floats at `target`, from `source` on, or zeros where `source` is negative.
typedef struct patch_run {
  ptrdiff_t source;
  uint32_t target, count;
} patch_run;

typedef struct patch_runs {
  size_t count;
  patch_run runs[3 * POLLARD_PANEL];
} patch_runs;

INLINE void add_run(patch_runs *r, ptrdiff_t source, size_t target, size_t count, ptrdiff_t step) {
  if (count == 0) return;
  patch_run *last = r->count > 0 ? &r->runs[r->count - 1] : NULL;
  int continues = last && (source < 0 ? last->source < 0
                                      : last->source >= 0 && last->source + (ptrdiff_t)last->count * step == source);
  if (continues) last->count += (uint32_t)count;
  else r->runs[r->count++] = (patch_run){source, (uint32_t)target, (uint32_t)count};
}

/// Where the outputs [first, first + width) find what lies under one position of the window, in one channel.
static void find_runs(
  const pollard_convolution *c, size_t window_row, size_t window_column, size_t first, size_t width, patch_runs *r) {
  const ptrdiff_t step = (ptrdiff_t)c->column_stride, columns = (ptrdiff_t)c->columns;
  r->count = 0;
  for (size_t done = 0; done < width;) {
    size_t y = (first + done) / c->output_columns, x = (first + done) % c->output_columns;
    size_t count = c->output_columns - x < width - done ? c->output_columns - x : width - done;
    ptrdiff_t row = (ptrdiff_t)(y * c->row_stride + window_row * c->row_dilation) - c->rows_before;
    ptrdiff_t column = (ptrdiff_t)(x * c->column_stride + window_column * c->column_dilation) - c->columns_before;
    size_t begin = 0, end = 0;
    if (row >= 0 && row < (ptrdiff_t)c->rows) {
      if (column < 0) begin = (size_t)((-column + step - 1) / step);
      if (column < columns) end = (size_t)((columns - column + step - 1) / step);
      if (begin > count) begin = count;
      if (end > count) end = count;
      if (end < begin) end = begin;
    }
    add_run(r, -1, done, begin, step);
    add_run(r, row * columns + column + (ptrdiff_t)begin * step, done + begin, end - begin, step);
    add_run(r, -1, done + end, count - end, step);
    done += count;
  }
}

INLINE void copy_run(float *to, const float *from, size_t count) {
  for (; count >= 16; count -= 16, to += 16, from += 16) store(to, load(from));
  if (count & 8) memcpy(to, from, 32), to += 8, from += 8;
  if (count & 4) memcpy(to, from, 16), to += 4, from += 4;
  if (count & 2) memcpy(to, from, 8), to += 2, from += 2;
  if (count & 1) *to = *from;
}

/// Every second float, reading none past the last.
INLINE void copy_every_second(float *to, const float *from, size_t count) {
  for (; count >= 16; count -= 16, to += 16, from += 32)
    store(to, __builtin_shufflevector(
                load(from), load(from + 15), 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31));
  for (size_t i = 0; i < count; i++) to[i] = from[2 * i];
}

INLINE void gather_row(const patch_runs *r, float *out, const float *plane, size_t step) {
  for (size_t i = 0; i < r->count; i++) {
    patch_run run = r->runs[i];
    float *to = out + run.target;
    const float *from = plane + run.source;
    if (run.source < 0) memset(to, 0, run.count * sizeof(float));
    else if (step == 1) copy_run(to, from, run.count);
    else if (step == 2) copy_every_second(to, from, run.count);
    else
      for (size_t j = 0; j < run.count; j++) to[j] = from[j * step];
  }
}

/// Rows [begin, end) of the patch matrix for the outputs [first, first + width), `stride` floats from row to row.
static void gather_patches(
  const pollard_convolution *c, float *out, size_t stride, size_t begin, size_t end, size_t first, size_t width) {
  const size_t window = c->window_rows * c->window_columns, plane = c->rows * c->columns;
  for (size_t position = 0; position < window; position++) {
    // The first channel whose row for this position is not below `begin`.
    size_t channel = begin > position ? (begin - position + window - 1) / window : 0;
    if (channel * window + position >= end) continue;
    patch_runs runs;
    find_runs(c, position / c->window_columns, position % c->window_columns, first, width, &runs);
    for (; channel * window + position < end; channel++)
      gather_row(
        &runs, out + (channel * window + position - begin) * stride, c->input + channel * plane, c->column_stride);
  }
}

/// What follows the sums, on one row of outputs: the bias, then the addend, then the activation.
INLINE void finish_outputs(const pollard_convolution *c, float *out, float bias, const float *added, size_t width) {
  const int has_bias = c->bias != NULL, is_relu = c->activation == POLLARD_RELU;
  if (has_bias || added || is_relu)
    FOR_EACH_CHUNK(width) {
      v16f v = load_some(out + i, count, 0.0f);
      if (has_bias) v = v + bias;
      if (added) v = v + load_some(added + i, count, 0.0f);
      if (is_relu) v = relu(v);
      store_some(out + i, v, count);
    }
  if (c->activation != POLLARD_COPY && !is_relu) unary(c->activation, 1, width, out, 0, out, 0);
}

/// `rows` filters from `filter` on, of which all lie in one panel where the weights are packed, as [depth][rows].
INLINE void pack_filters(
  const pollard_convolution *c, float *out, size_t filter, size_t rows, size_t k, size_t depth, float *wide) {
  if (!c->packed) {
    pack_rows(out, c->weights + filter * c->depth + k, (ptrdiff_t)c->depth, rows, depth);
    return;
  }
  const size_t lane = filter % POLLARD_PANEL;
  const float *from = wide_panel(c->weight_type, c->packed, filter / POLLARD_PANEL, c->depth, k, depth, wide) + lane;
  const size_t whole = lane + 16 <= POLLARD_PANEL ? depth : 0;
  for (size_t i = 0; i < whole; i++) store(out + i * rows, load(from + i * POLLARD_PANEL));
  for (size_t i = whole; i < depth; i++) memcpy(out + i * rows, from + i * POLLARD_PANEL, rows * sizeof(float));
}

/// Vectors run over outputs: filters are the left-hand matrix, patches the right-hand one.
static void convolution_over_outputs(
  const pollard_convolution *c, size_t output_begin, size_t output_end, size_t filter_begin, size_t filter_end) {
  float *patches = pollard_thread_block();
  float filters[POLLARD_CONVOLUTION_DEPTH * TILE_ROWS + 16];
  const size_t outputs = c->output_rows * c->output_columns, block = POLLARD_CONVOLUTION_PANELS * POLLARD_PANEL;
  for (size_t first = output_begin; first < output_end; first += block) {
    const size_t width = output_end - first < block ? output_end - first : block;
    size_t k = 0;
    do {
      const size_t depth = c->depth - k < POLLARD_CONVOLUTION_DEPTH ? c->depth - k : POLLARD_CONVOLUTION_DEPTH;
      const int last = k + depth == c->depth;
      for (size_t at = 0; at < width; at += POLLARD_PANEL) {
        size_t used = width - at < POLLARD_PANEL ? width - at : POLLARD_PANEL;
        float *panel = patches + at * depth;
        if (used < POLLARD_PANEL) memset(panel, 0, depth * POLLARD_PANEL * sizeof(float));
        gather_patches(c, panel, POLLARD_PANEL, k, k + depth, first + at, used);
      }
      for (size_t group = filter_begin; group < filter_end; group += POLLARD_PANEL) {
        const size_t count = filter_end - group < POLLARD_PANEL ? filter_end - group : POLLARD_PANEL;
        const size_t tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
        for (size_t t = 0; t < tiles; t++) {
          const size_t from = group + count * t / tiles, rows = group + count * (t + 1) / tiles - from;
          pack_filters(c, filters, from, rows, k, depth, patches + POLLARD_CONVOLUTION_FLOATS);
          for (size_t at = 0; at < width; at += TILE_COLUMNS) {
            const size_t used = width - at < TILE_COLUMNS ? width - at : TILE_COLUMNS;
            const float *panel = patches + at / POLLARD_PANEL * POLLARD_PANEL * depth + at % POLLARD_PANEL;
            float *out = c->output + from * outputs + first + at;
            tile_in_place(rows, filters, panel, depth, NULL, k > 0, out, (ptrdiff_t)outputs, used);
            if (!last) continue;
            for (size_t i = 0; i < rows; i++) {
              const float *added = c->added ? c->added + (from + i) * outputs + first + at : NULL;
              finish_outputs(c, out + i * outputs, c->bias ? c->bias[from + i] : 0.0f, added, used);
            }
          }
        }
      }
      k += depth;
    } while (k < c->depth);
  }
}

/// Sums [outputs][filters] to the rows of the result, 16 × 16 at a time.
static void finish_transposed(
  const pollard_convolution *c, const float *sums, size_t stride, size_t first, size_t width, size_t filter,
  size_t count) {
  const size_t outputs = c->output_rows * c->output_columns;
  for (size_t f = 0; f < count; f += 16)
    for (size_t at = 0; at < width; at += 16) {
      const size_t used = width - at < 16 ? width - at : 16, filters = count - f < 16 ? count - f : 16;
      v16f block[16];
      for (size_t i = 0; i < 16; i++) block[i] = i < used ? load(sums + (at + i) * stride + f) : (v16f)0.0f;
      transpose16(block);
      for (size_t i = 0; i < filters; i++) {
        const size_t row = (filter + f + i) * outputs + first + at;
        store_some(c->output + row, block[i], used);
        finish_outputs(
          c, c->output + row, c->bias ? c->bias[filter + f + i] : 0.0f, c->added ? c->added + row : NULL, used);
      }
    }
}

/// Vectors run over filters: patches are the left-hand matrix, packed filters the right-hand one. For few outputs, which
/// would not fill panels.
static void convolution_over_filters(
  const pollard_convolution *c, size_t output_begin, size_t output_end, size_t filter_begin, size_t filter_end) {
  float *patches = pollard_thread_block();
  float *sums = patches + POLLARD_BLOCK_ROWS * POLLARD_CONVOLUTION_DEPTH + 16;
  const size_t stride = POLLARD_CONVOLUTION_PANELS * POLLARD_PANEL;
  const size_t blocks = (output_end - output_begin + POLLARD_BLOCK_ROWS - 1) / POLLARD_BLOCK_ROWS;
  for (size_t block = 0; block < blocks; block++) {
    const size_t first = output_begin + (output_end - output_begin) * block / blocks;
    const size_t width = output_begin + (output_end - output_begin) * (block + 1) / blocks - first;
    const size_t tiles = (width + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t filter = filter_begin; filter < filter_end; filter += stride) {
      const size_t count = filter_end - filter < stride ? filter_end - filter : stride;
      for (size_t k = 0; k < c->depth; k += POLLARD_CONVOLUTION_DEPTH) {
        const size_t depth = c->depth - k < POLLARD_CONVOLUTION_DEPTH ? c->depth - k : POLLARD_CONVOLUTION_DEPTH;
        for (size_t t = 0; t < tiles; t++) {
          const size_t from = width * t / tiles, to = width * (t + 1) / tiles;
          gather_patches(c, patches + from * depth, to - from, k, k + depth, first + from, to - from);
        }
        for (size_t column = 0; column < count; column += TILE_COLUMNS) {
          const size_t panel = (filter + column) / POLLARD_PANEL;
          const float *b = wide_panel(
            c->weight_type, c->packed, panel, c->depth, k, depth, patches + POLLARD_CONVOLUTION_FLOATS);
          b += column % POLLARD_PANEL;
          for (size_t t = 0; t < tiles; t++) {
            const size_t from = width * t / tiles, to = width * (t + 1) / tiles;
            packed_tiles[to - from - 1](
              patches + from * depth, b, depth, NULL, k > 0, sums + from * stride + column, (ptrdiff_t)stride);
          }
        }
      }
      finish_transposed(c, sums, stride, first, width, filter, count);
    }
  }
}

static void convolution(
  const pollard_convolution *c, size_t output_begin, size_t output_end, size_t filter_begin, size_t filter_end) {
  const size_t outputs = output_end - output_begin;
  const size_t wasted = (TILE_COLUMNS - outputs % TILE_COLUMNS) % TILE_COLUMNS;
  if (c->packed && c->depth > 0 && filter_end - filter_begin >= TILE_COLUMNS && 24 * wasted > outputs)
    convolution_over_filters(c, output_begin, output_end, filter_begin, filter_end);
  else
    convolution_over_outputs(c, output_begin, output_end, filter_begin, filter_end);
}
