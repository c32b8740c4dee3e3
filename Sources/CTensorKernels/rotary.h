// Rotary position embedding of rows.
#pragma once

INLINE void rotate(v16f first, v16f second, v16f cosine, v16f sine, v16f *out_first, v16f *out_second) {
  *out_first = fused(first, cosine, -(second * sine));
  *out_second = fused(second, cosine, first * sine);
}

static void rotary(
  size_t rows, size_t columns, size_t half, int interleaved, const float *x, ptrdiff_t x_row_stride,
  const float *cosines, const float *sines, ptrdiff_t angle_row_stride, float *y, ptrdiff_t y_row_stride) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + (ptrdiff_t)r * x_row_stride;
    const float *cosine_row = cosines + (ptrdiff_t)r * angle_row_stride;
    const float *sine_row = sines + (ptrdiff_t)r * angle_row_stride;
    float *yr = y + (ptrdiff_t)r * y_row_stride;
    FOR_EACH_CHUNK(half) {
      v16f cosine = load_some(cosine_row + i, count, 0.0f), sine = load_some(sine_row + i, count, 0.0f);
      v16f a, b;
      if (interleaved) {
        size_t low = 2 * count < 16 ? 2 * count : 16;
        v16f p = load_some(xr + 2 * i, low, 0.0f), q = (v16f)0.0f;
        if (2 * count > low) q = load_some(xr + 2 * i + 16, 2 * count - low, 0.0f);
        v16f even = __builtin_shufflevector(p, q, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        v16f odd = __builtin_shufflevector(p, q, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        rotate(even, odd, cosine, sine, &a, &b);
        p = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        q = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        store_some(yr + 2 * i, p, low);
        if (2 * count > low) store_some(yr + 2 * i + 16, q, 2 * count - low);
      } else {
        rotate(load_some(xr + i, count, 0.0f), load_some(xr + half + i, count, 0.0f), cosine, sine, &a, &b);
        store_some(yr + i, a, count);
        store_some(yr + half + i, b, count);
      }
    }
    if (yr != xr && columns > 2 * half)
      memmove(yr + 2 * half, xr + 2 * half, (columns - 2 * half) * sizeof(float));
  }
}
