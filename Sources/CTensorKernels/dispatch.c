// Which instruction sets the machine has, and the public functions that go through the chosen one's table.

#include "kernel_table.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>

static int operating_system_saves(uint64_t states) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((((uint64_t)high << 32) | low) & states) == states;
}

static int has_avx2_or_avx512(int avx512) {
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(1, 0, &a, &b, &c, &d)) return 0;
  const uint32_t needed = bit_FMA | bit_OSXSAVE | bit_AVX | bit_F16C;
  if ((c & needed) != needed || !operating_system_saves(avx512 ? 0xe6 : 0x06)) return 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const uint32_t wide = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
  return (b & bit_AVX2) && (!avx512 || (b & wide) == wide);
}
#endif

static const pollard_kernel_table *table_of(int isa) {
  switch (isa) {
  case POLLARD_ISA_PORTABLE: return &pollard_table_portable;
#if defined(__x86_64__)
  case POLLARD_ISA_AVX2: return has_avx2_or_avx512(0) ? &pollard_table_avx2 : NULL;
  case POLLARD_ISA_AVX512: return has_avx2_or_avx512(1) ? &pollard_table_avx512 : NULL;
#endif
#if defined(__aarch64__)
  case POLLARD_ISA_NEON: return &pollard_table_neon;
#endif
  default: return NULL;
  }
}

static _Atomic(const pollard_kernel_table *) chosen = NULL;
static _Atomic int chosen_isa = -1;

int pollard_isa_available(int isa) { return table_of(isa) != NULL; }

int pollard_isa_select(int isa) {
  const pollard_kernel_table *table = table_of(isa);
  if (!table) return 0;
  atomic_store(&chosen_isa, isa);
  atomic_store(&chosen, table);
  return 1;
}

static void select_best(void) {
  static const int best_first[] = {POLLARD_ISA_AVX512, POLLARD_ISA_AVX2, POLLARD_ISA_NEON, POLLARD_ISA_PORTABLE};
  for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++)
    if (pollard_isa_select(best_first[i])) return;
}

static const pollard_kernel_table *kernels(void) {
  const pollard_kernel_table *table = atomic_load_explicit(&chosen, memory_order_acquire);
  if (table) return table;
  select_best();
  return atomic_load(&chosen);
}

int pollard_isa_current(void) {
  kernels();
  return atomic_load(&chosen_isa);
}

float *pollard_thread_block(void) {
  static _Thread_local float block[POLLARD_BLOCK_FLOATS] __attribute__((aligned(64)));
  return block;
}

// MARK: Public functions

size_t pollard_type_size(int type) {
  switch (type) {
  case POLLARD_F64: return 8;
  case POLLARD_F32: return 4;
  case POLLARD_F16:
  case POLLARD_BF16: return 2;
  default: return 1;
  }
}

void pollard_convert_to_f32(int type, const void *source, float *destination, size_t count) {
  kernels()->convert_to_f32(type, source, destination, count);
}

void pollard_convert_from_f32(int type, const float *source, void *destination, size_t count) {
  kernels()->convert_from_f32(type, source, destination, count);
}

void pollard_unary_f32(
  int operation, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y,
  ptrdiff_t y_row_stride) {
  kernels()->unary(operation, rows, columns, x, x_row_stride, y, y_row_stride);
}

void pollard_unary_f64(int operation, size_t count, const double *x, double *y) {
  kernels()->unary_double(operation, count, x, y);
}

void pollard_power_f64(size_t count, const double *x, const double *y, double *z) {
  kernels()->power_doubles(count, x, y, z);
}

void pollard_binary_f32(
  int operation, size_t rows, size_t columns, pollard_operand a, pollard_operand b, float *y,
  ptrdiff_t y_row_stride) {
  kernels()->binary(operation, rows, columns, a, b, y, y_row_stride);
}

void pollard_pack_panels(
  float *packed, int type, const void *source, ptrdiff_t stride, int transposed, size_t depth, size_t columns,
  size_t panel_begin, size_t panel_end) {
  kernels()->pack_panels(packed, type, source, stride, transposed, depth, columns, panel_begin, panel_end);
}

void pollard_gemm_f32(
  const pollard_gemm *gemm, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  kernels()->gemm(gemm, row_begin, row_end, panel_begin, panel_end);
}

size_t pollard_attention_scratch(size_t keys, size_t head_dimension, size_t value_dimension) {
  size_t key_columns = (keys + POLLARD_PANEL - 1) / POLLARD_PANEL * POLLARD_PANEL;
  size_t value_columns = (value_dimension + POLLARD_PANEL - 1) / POLLARD_PANEL * POLLARD_PANEL;
  return key_columns * head_dimension + value_columns * keys + POLLARD_ATTENTION_STRIP * key_columns;
}

void pollard_attention_f32(const pollard_attention *attention, size_t query_begin, size_t query_end, float *scratch) {
  kernels()->attention(attention, query_begin, query_end, scratch);
}

void pollard_convolution_f32(
  const pollard_convolution *convolution, size_t output_begin, size_t output_end, size_t filter_begin,
  size_t filter_end) {
  kernels()->convolution(convolution, output_begin, output_end, filter_begin, filter_end);
}

void pollard_softmax_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y, ptrdiff_t y_row_stride) {
  kernels()->softmax(rows, columns, x, x_row_stride, y, y_row_stride);
}

void pollard_layer_norm_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, const float *bias,
  float epsilon, float *y, ptrdiff_t y_row_stride) {
  kernels()->layer_norm(rows, columns, x, x_row_stride, scale, bias, epsilon, y, y_row_stride);
}

void pollard_rms_norm_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, float epsilon, float *y,
  ptrdiff_t y_row_stride) {
  kernels()->rms_norm(rows, columns, x, x_row_stride, scale, epsilon, y, y_row_stride);
}

void pollard_reduce_rows_f32(
  int reduction, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y) {
  kernels()->reduce_rows(reduction, rows, columns, x, x_row_stride, y);
}

void pollard_rotary_f32(
  size_t rows, size_t columns, size_t half, int interleaved, const float *x, ptrdiff_t x_row_stride,
  const float *cosines, const float *sines, ptrdiff_t angle_row_stride, float *y, ptrdiff_t y_row_stride) {
  kernels()->rotary(
    rows, columns, half, interleaved, x, x_row_stride, cosines, sines, angle_row_stride, y, y_row_stride);
}

void pollard_scan_block(
  int type, const void *data, ptrdiff_t row_stride, size_t rows, size_t columns, const uint8_t *row_select,
  pollard_scan_flags flags) {
  kernels()->scan_block(type, data, row_stride, rows, columns, row_select, flags);
}

void pollard_unpack_blocks(int format, const void *source, float *destination, size_t count) {
  kernels()->unpack_blocks(format, source, destination, count);
}

size_t pollard_pack_blocks(int format, const float *source, void *destination, size_t count) {
  return kernels()->pack_blocks(format, source, destination, count);
}
