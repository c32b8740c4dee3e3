// Reductions and normalisations of whole rows: 16 virtual lanes folded 8-4-2-1.
#pragma once

/// Runs `body` with `i` and the number `count` of elements (16, or fewer at the end) of each vector of a row.
#define FOR_EACH_CHUNK(columns) \
  for (size_t i = 0, count; count = columns - i < 16 ? columns - i : 16, i < columns; i += 16)

INLINE float row_sum(const float *x, size_t columns) {
  v16f sum = (v16f)0.0f;
  FOR_EACH_CHUNK(columns) sum = sum + load_some(x + i, count, 0.0f);
  return fold_sum(sum);
}

INLINE float row_sum_of_squares(const float *x, size_t columns) {
  v16f sum = (v16f)0.0f;
  FOR_EACH_CHUNK(columns) {
    v16f v = load_some(x + i, count, 0.0f);
    sum = fused(v, v, sum);
  }
  return fold_sum(sum);
}

INLINE float row_maximum(const float *x, size_t columns) {
  v16f most = (v16f)(float)-INFINITY;
  FOR_EACH_CHUNK(columns) most = maximum(most, load_some(x + i, count, -INFINITY));
  return fold_maximum(most);
}

INLINE float row_minimum(const float *x, size_t columns) {
  v16f least = (v16f)(float)INFINITY;
  FOR_EACH_CHUNK(columns) least = minimum(least, load_some(x + i, count, INFINITY));
  return fold_minimum(least);
}

/// y = exp(x - shift); the sum of y. Padding lanes add +0 whatever the shift.
INLINE float row_exponentials(const float *x, float shift, float *y, size_t columns) {
  v16f sum = (v16f)0.0f;
  FOR_EACH_CHUNK(columns) {
    v16f e = exponential(load_some(x + i, count, shift) - shift);
    store_some(y + i, e, count);
    sum = sum + (count < 16 ? load_some(y + i, count, 0.0f) : e);
  }
  return fold_sum(sum);
}

static void softmax(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y, ptrdiff_t y_row_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    float *yr = y + (ptrdiff_t)r * y_row_stride;
    float sum = row_exponentials(xr, row_maximum(xr, columns), yr, columns);
    FOR_EACH_CHUNK(columns) store_some(yr + i, load_some(yr + i, count, 0.0f) / sum, count);
  }
}

static void layer_norm(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, const float *bias,
  float epsilon, float *y, ptrdiff_t y_row_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    float *yr = y + (ptrdiff_t)r * y_row_stride;
    float mean = row_sum(xr, columns) / (float)columns;
    v16f squares = (v16f)0.0f;
    FOR_EACH_CHUNK(columns) {
      v16f deviation = load_some(xr + i, count, mean) - mean;
      squares = fused(deviation, deviation, squares);
    }
    float variance = fold_sum(squares) / (float)columns;
    float factor = 1.0f / __builtin_sqrtf(variance + epsilon);
    FOR_EACH_CHUNK(columns) {
      v16f v = (load_some(xr + i, count, mean) - mean) * factor;
      v16f multiplier = scale ? load_some(scale + i, count, 0.0f) : (v16f)1.0f;
      v = bias ? fused(v, multiplier, load_some(bias + i, count, 0.0f)) : v * multiplier;
      store_some(yr + i, v, count);
    }
  }
}

static void rms_norm(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, float epsilon, float *y,
  ptrdiff_t y_row_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    float *yr = y + (ptrdiff_t)r * y_row_stride;
    float mean = row_sum_of_squares(xr, columns) / (float)columns;
    float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
    FOR_EACH_CHUNK(columns) {
      v16f v = load_some(xr + i, count, 0.0f) * factor;
      if (scale) v = v * load_some(scale + i, count, 0.0f);
      store_some(yr + i, v, count);
    }
  }
}

static void reduce_rows(
  int reduction, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    switch (reduction) {
    case POLLARD_REDUCE_SUM: y[r] = row_sum(xr, columns); break;
    case POLLARD_REDUCE_MEAN: y[r] = row_sum(xr, columns) / (float)columns; break;
    case POLLARD_REDUCE_MAXIMUM: y[r] = row_maximum(xr, columns); break;
    case POLLARD_REDUCE_MINIMUM: y[r] = row_minimum(xr, columns); break;
    case POLLARD_REDUCE_SUM_OF_SQUARES: y[r] = row_sum_of_squares(xr, columns); break;
    }
  }
}
