// Functions of one and of two elements over [rows, columns].
#pragma once

#define FOR_EACH_VECTOR(EXPRESSION)                                                        \
  for (size_t r = 0; r < rows; r++) {                                                      \
    const float *xr = x + (ptrdiff_t)r * x_row_stride;                                     \
    float *yr = y + (ptrdiff_t)r * y_row_stride;                                           \
    size_t i = 0;                                                                          \
    for (; i + 16 <= columns; i += 16) {                                                   \
      v16f v = load(xr + i);                                                               \
      store(yr + i, EXPRESSION);                                                           \
    }                                                                                      \
    if (i < columns) {                                                                     \
      v16f v = load_some(xr + i, columns - i, 0.0f);                                       \
      store_some(yr + i, EXPRESSION, columns - i);                                         \
    }                                                                                      \
  }                                                                                        \
  break

static void unary(
  int operation, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y,
  ptrdiff_t y_row_stride) {
  switch (operation) {
  case POLLARD_COPY: FOR_EACH_VECTOR(v);
  case POLLARD_NEGATE: FOR_EACH_VECTOR(-v);
  case POLLARD_ABSOLUTE: FOR_EACH_VECTOR(absolute(v));
  case POLLARD_RECIPROCAL: FOR_EACH_VECTOR(1.0f / v);
  case POLLARD_SQUARE_ROOT: FOR_EACH_VECTOR(__builtin_elementwise_sqrt(v));
  case POLLARD_FLOOR: FOR_EACH_VECTOR(__builtin_elementwise_floor(v));
  case POLLARD_CEIL: FOR_EACH_VECTOR(__builtin_elementwise_ceil(v));
  case POLLARD_ROUND: FOR_EACH_VECTOR(__builtin_elementwise_roundeven(v));
  case POLLARD_SIGN: FOR_EACH_VECTOR(sign(v));
  case POLLARD_EXP: FOR_EACH_VECTOR(exponential(v));
  case POLLARD_LOG: FOR_EACH_VECTOR(logarithm(v));
  case POLLARD_SIN: FOR_EACH_VECTOR(sine_or_cosine(v, 0));
  case POLLARD_COS: FOR_EACH_VECTOR(sine_or_cosine(v, 1));
  case POLLARD_ERF: FOR_EACH_VECTOR(error_function(v));
  case POLLARD_TANH: FOR_EACH_VECTOR(hyperbolic_tangent(v));
  case POLLARD_SIGMOID: FOR_EACH_VECTOR(sigmoid(v));
  case POLLARD_RELU: FOR_EACH_VECTOR(relu(v));
  case POLLARD_GELU_ERF: FOR_EACH_VECTOR(gelu_erf(v));
  case POLLARD_GELU_TANH: FOR_EACH_VECTOR(gelu_tanh(v));
  case POLLARD_SILU: FOR_EACH_VECTOR(silu(v));
  case POLLARD_QUICK_GELU: FOR_EACH_VECTOR(quick_gelu(v));
  case POLLARD_SOFTPLUS: FOR_EACH_VECTOR(softplus(v));
  }
}

/// 16 elements of a row of an operand, whose column stride is 0 or 1; past `count` the value is 1.
INLINE v16f load_operand(const float *row, ptrdiff_t column_stride, size_t index, size_t count) {
  return column_stride == 0 ? (v16f)*row : load_some(row + index, count, 1.0f);
}

#define FOR_EACH_PAIR(EXPRESSION)                                                          \
  for (size_t r = 0; r < rows; r++) {                                                      \
    const float *ar = a.data + (ptrdiff_t)r * a.row_stride;                                \
    const float *br = b.data + (ptrdiff_t)r * b.row_stride;                                \
    float *yr = y + (ptrdiff_t)r * y_row_stride;                                           \
    if (a.column_stride != 0 && b.column_stride != 0) {                                    \
      size_t i = 0;                                                                        \
      for (; i + 16 <= columns; i += 16) {                                                 \
        v16f v = load(ar + i), w = load(br + i);                                           \
        store(yr + i, EXPRESSION);                                                         \
      }                                                                                    \
      if (i < columns) {                                                                   \
        v16f v = load_some(ar + i, columns - i, 1.0f), w = load_some(br + i, columns - i, 1.0f); \
        store_some(yr + i, EXPRESSION, columns - i);                                       \
      }                                                                                    \
    } else {                                                                               \
      for (size_t i = 0; i < columns; i += 16) {                                           \
        v16f v = load_operand(ar, a.column_stride, i, columns - i);                        \
        v16f w = load_operand(br, b.column_stride, i, columns - i);                        \
        store_some(yr + i, EXPRESSION, columns - i);                                       \
      }                                                                                    \
    }                                                                                      \
  }                                                                                        \
  break

static void binary(
  int operation, size_t rows, size_t columns, pollard_operand a, pollard_operand b, float *y,
  ptrdiff_t y_row_stride) {
  switch (operation) {
  case POLLARD_ADD: FOR_EACH_PAIR(v + w);
  case POLLARD_SUBTRACT: FOR_EACH_PAIR(v - w);
  case POLLARD_MULTIPLY: FOR_EACH_PAIR(v * w);
  case POLLARD_DIVIDE: FOR_EACH_PAIR(v / w);
  case POLLARD_MAXIMUM: FOR_EACH_PAIR(maximum(v, w));
  case POLLARD_MINIMUM: FOR_EACH_PAIR(minimum(v, w));
  case POLLARD_POWER: FOR_EACH_PAIR(power(v, w));
  }
}

#undef FOR_EACH_VECTOR
#undef FOR_EACH_PAIR
