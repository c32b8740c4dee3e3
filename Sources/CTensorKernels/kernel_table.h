// One table of function pointers per instruction set.
#pragma once

#include "CTensorKernels.h"

typedef struct pollard_kernel_table {
  void (*convert_to_f32)(int, const void *, float *, size_t);
  void (*convert_from_f32)(int, const float *, void *, size_t);
  void (*unary)(int, size_t, size_t, const float *, ptrdiff_t, float *, ptrdiff_t);
  void (*unary_double)(int, size_t, const double *, double *);
  void (*power_doubles)(size_t, const double *, const double *, double *);
  void (*binary)(int, size_t, size_t, pollard_operand, pollard_operand, float *, ptrdiff_t);
  void (*pack_panels)(float *, int, const void *, ptrdiff_t, int, size_t, size_t, size_t, size_t);
  void (*gemm)(const pollard_gemm *, size_t, size_t, size_t, size_t);
  void (*attention)(const pollard_attention *, size_t, size_t, float *);
  void (*convolution)(const pollard_convolution *, size_t, size_t, size_t, size_t);
  void (*softmax)(size_t, size_t, const float *, ptrdiff_t, float *, ptrdiff_t);
  void (*layer_norm)(
    size_t, size_t, const float *, ptrdiff_t, const float *, const float *, float, float *, ptrdiff_t);
  void (*rms_norm)(size_t, size_t, const float *, ptrdiff_t, const float *, float, float *, ptrdiff_t);
  void (*reduce_rows)(int, size_t, size_t, const float *, ptrdiff_t, float *);
  void (*rotary)(
    size_t, size_t, size_t, int, const float *, ptrdiff_t, const float *, const float *, ptrdiff_t, float *, ptrdiff_t);
  void (*scan_block)(int, const void *, ptrdiff_t, size_t, size_t, const uint8_t *, pollard_scan_flags);
  void (*unpack_blocks)(int, const void *, float *, size_t);
  size_t (*pack_blocks)(int, const float *, void *, size_t);
} pollard_kernel_table;

extern const pollard_kernel_table pollard_table_portable;
#if defined(__x86_64__)
extern const pollard_kernel_table pollard_table_avx2;
extern const pollard_kernel_table pollard_table_avx512;
#endif
#if defined(__aarch64__)
extern const pollard_kernel_table pollard_table_neon;
#endif

// Rows and depth of the block of A that is packed at a time; the block is POLLARD_BLOCK_ROWS · POLLARD_BLOCK_DEPTH
// floats (288 KiB), which leaves room for a panel of B in a 512 KiB second-level cache.
#define POLLARD_BLOCK_ROWS 144
#define POLLARD_BLOCK_DEPTH 512

// Panels of outputs and depth of the block of patches that a convolution gathers at a time.
#define POLLARD_CONVOLUTION_PANELS 12
#define POLLARD_CONVOLUTION_DEPTH 256
#define POLLARD_CONVOLUTION_FLOATS (POLLARD_CONVOLUTION_PANELS * POLLARD_PANEL * POLLARD_CONVOLUTION_DEPTH)

// Floats of a thread's block, which holds either, then 16 that the last store may spill into, then a panel's block of B.
#define POLLARD_GEMM_FLOATS (POLLARD_BLOCK_ROWS * POLLARD_BLOCK_DEPTH)
#define POLLARD_MORE_FLOATS (16 + POLLARD_PANEL * POLLARD_BLOCK_DEPTH)
#define POLLARD_BLOCK_FLOATS \
  ((POLLARD_GEMM_FLOATS > POLLARD_CONVOLUTION_FLOATS ? POLLARD_GEMM_FLOATS : POLLARD_CONVOLUTION_FLOATS) \
   + POLLARD_MORE_FLOATS)

// The calling thread's buffer for one packed block.
float *pollard_thread_block(void);
