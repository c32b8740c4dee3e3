// Functions of one and of two elements over [rows, columns], and of doubles.
#pragma once

static void unary_double(int operation, size_t count, const double *x, double *y);

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

/// Of the functions that are seldom used, the double-precision form serves: one copy of each per instruction set.
static void unary_widened(
  int operation, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y,
  ptrdiff_t y_row_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    float *yr = y + (ptrdiff_t)r * y_row_stride;
    for (size_t i = 0; i < columns; i += 64) {
      size_t count = columns - i < 64 ? columns - i : 64;
      double wide[64];
      for (size_t j = 0; j < count; j++) wide[j] = xr[i + j];
      unary_double(operation, count, wide, wide);
      for (size_t j = 0; j < count; j++) yr[i + j] = (float)wide[j];
    }
  }
}

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
  case POLLARD_ROUND: FOR_EACH_VECTOR(rounded(v));
  case POLLARD_SIGN: FOR_EACH_VECTOR(sign(v));
  case POLLARD_EXP: FOR_EACH_VECTOR(exponential(v));
  case POLLARD_LOG: FOR_EACH_VECTOR(logarithm(v));
  case POLLARD_ERF: FOR_EACH_VECTOR(error_function(v));
  case POLLARD_TANH: FOR_EACH_VECTOR(hyperbolic_tangent(v));
  case POLLARD_SIGMOID: FOR_EACH_VECTOR(sigmoid(v));
  case POLLARD_RELU: FOR_EACH_VECTOR(relu(v));
  case POLLARD_GELU_ERF: FOR_EACH_VECTOR(gelu_erf(v));
  case POLLARD_GELU_TANH: FOR_EACH_VECTOR(gelu_tanh(v));
  case POLLARD_SILU: FOR_EACH_VECTOR(silu(v));
  case POLLARD_QUICK_GELU: FOR_EACH_VECTOR(quick_gelu(v));
  default: unary_widened(operation, rows, columns, x, x_row_stride, y, y_row_stride);
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

// MARK: Double precision

#define FOR_EACH_DOUBLE(EXPRESSION)                          \
  for (size_t i = 0; i < count; i += 16) {                    \
    v16d v = load_doubles(x + i, count - i);                  \
    store_doubles(y + i, EXPRESSION, count - i);              \
  }                                                           \
  break

static void unary_double(int operation, size_t count, const double *x, double *y) {
  switch (operation) {
  case POLLARD_COPY: FOR_EACH_DOUBLE(v);
  case POLLARD_NEGATE: FOR_EACH_DOUBLE(-v);
  case POLLARD_ABSOLUTE: FOR_EACH_DOUBLE(absolute_double(v));
  case POLLARD_RECIPROCAL: FOR_EACH_DOUBLE(1.0 / v);
  case POLLARD_SQUARE_ROOT: FOR_EACH_DOUBLE(__builtin_elementwise_sqrt(v));
  case POLLARD_FLOOR: FOR_EACH_DOUBLE(__builtin_elementwise_floor(v));
  case POLLARD_CEIL: FOR_EACH_DOUBLE(__builtin_elementwise_ceil(v));
  case POLLARD_ROUND: FOR_EACH_DOUBLE(rounded_double(v));
  case POLLARD_SIGN:
    FOR_EACH_DOUBLE(choose_double(v > 0.0, (v16d)1.0, choose_double(v < 0.0, (v16d)-1.0, v)));
  case POLLARD_EXP: FOR_EACH_DOUBLE(exponential_double(v));
  case POLLARD_LOG: FOR_EACH_DOUBLE(logarithm_double(v));
  case POLLARD_SIN: FOR_EACH_DOUBLE(sine_or_cosine_double(v, 0));
  case POLLARD_COS: FOR_EACH_DOUBLE(sine_or_cosine_double(v, 1));
  case POLLARD_ERF: FOR_EACH_DOUBLE(error_function_double(v));
  case POLLARD_TANH: FOR_EACH_DOUBLE(hyperbolic_tangent_double(v));
  case POLLARD_SIGMOID: FOR_EACH_DOUBLE(sigmoid_double(v));
  case POLLARD_RELU: FOR_EACH_DOUBLE(choose_double(v <= 0.0, (v16d)0.0, v));
  case POLLARD_GELU_ERF: FOR_EACH_DOUBLE(gelu_erf_double(v));
  case POLLARD_GELU_TANH: FOR_EACH_DOUBLE(gelu_tanh_double(v));
  case POLLARD_SILU: FOR_EACH_DOUBLE(silu_double(v));
  case POLLARD_QUICK_GELU: FOR_EACH_DOUBLE(quick_gelu_double(v));
  case POLLARD_SOFTPLUS: FOR_EACH_DOUBLE(softplus_double(v));
  case POLLARD_MISH: FOR_EACH_DOUBLE(mish_double(v));
  case POLLARD_TAN: FOR_EACH_DOUBLE(tangent_double(v));
  case POLLARD_ASIN: FOR_EACH_DOUBLE(arcsine_double(v));
  case POLLARD_ACOS: FOR_EACH_DOUBLE(arccosine_double(v));
  case POLLARD_ATAN: FOR_EACH_DOUBLE(arctangent_double(v));
  case POLLARD_SINH: FOR_EACH_DOUBLE(hyperbolic_sine_double(v));
  case POLLARD_COSH: FOR_EACH_DOUBLE(hyperbolic_cosine_double(v));
  case POLLARD_ASINH: FOR_EACH_DOUBLE(inverse_hyperbolic_sine_double(v));
  case POLLARD_ACOSH: FOR_EACH_DOUBLE(inverse_hyperbolic_cosine_double(v));
  case POLLARD_ATANH: FOR_EACH_DOUBLE(inverse_hyperbolic_tangent_double(v));
  case POLLARD_EXPM1: FOR_EACH_DOUBLE(exponential_minus_one(v));
  case POLLARD_LOG1P: FOR_EACH_DOUBLE(logarithm_of_one_plus(v));
  }
}

static void power_doubles(size_t count, const double *x, const double *w, double *y) {
  for (size_t i = 0; i < count; i += 16)
    store_doubles(y + i, power_double(load_doubles(x + i, count - i), load_doubles(w + i, count - i)), count - i);
}

#undef FOR_EACH_DOUBLE
#undef FOR_EACH_VECTOR
#undef FOR_EACH_PAIR
