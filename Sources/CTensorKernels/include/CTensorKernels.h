// The numeric kernels of Pollard: one C header, several instruction sets behind it, the same bits from each.
//
// Contract of every function here:
//  - A dot product starts at +0 and accumulates over ascending k in one float32 accumulator per output, with fused
//    multiply-add. Leaving out terms that are exactly zero therefore changes nothing.
//  - An elementwise result depends on the bits of its inputs only: not on lane, tail, tile, thread or instruction set.
//  - A reduction over a whole row uses 16 virtual lanes (element i goes to lane i mod 16) folded 8-4-2-1.
//  - Strides and counts are in elements unless a name says bytes. Buffers need no alignment. No function allocates.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Instruction sets

typedef enum pollard_isa {
  POLLARD_ISA_PORTABLE = 0,
  POLLARD_ISA_AVX2 = 1,    // AVX2, FMA, F16C
  POLLARD_ISA_AVX512 = 2,  // AVX-512 F, BW, VL, DQ
  POLLARD_ISA_NEON = 3,
} pollard_isa;

/// 1 when this machine can run `isa`, else 0.
int pollard_isa_available(int isa);
/// The instruction set in use; the best available one until `pollard_isa_select` is called.
int pollard_isa_current(void);
/// Uses `isa` from now on, in the whole process. Returns 0 and changes nothing when it is not available.
int pollard_isa_select(int isa);

// MARK: Element types

typedef enum pollard_type {
  POLLARD_F32 = 0,
  POLLARD_F16 = 1,
  POLLARD_BF16 = 2,
  POLLARD_F64 = 3,
  POLLARD_F8_E4M3FN = 4,
  POLLARD_F8_E5M2 = 5,
} pollard_type;

/// Bytes per element.
size_t pollard_type_size(int type);

/// Decodes `count` elements of `type` to float32. Exact, except float64, which rounds to nearest even.
void pollard_convert_to_f32(int type, const void *source, float *destination, size_t count);

/// Encodes `count` float32 values as `type`, rounding to nearest even.
/// NaN stays NaN; overflow becomes infinity, in E4M3FN (which has none) NaN.
void pollard_convert_from_f32(int type, const float *source, void *destination, size_t count);

// MARK: Elementwise

// Largest errors of each, in units of the last place of the exact result, are in UnaryOperation of TensorKernels.
typedef enum pollard_unary {
  POLLARD_COPY = 0,
  POLLARD_NEGATE,
  POLLARD_ABSOLUTE,
  POLLARD_RECIPROCAL,
  POLLARD_SQUARE_ROOT,
  POLLARD_FLOOR,
  POLLARD_CEIL,
  POLLARD_ROUND,  // half to even
  POLLARD_SIGN,
  POLLARD_EXP,  // float32: inputs below -87.33654 give +0
  POLLARD_LOG,
  POLLARD_SIN,
  POLLARD_COS,
  POLLARD_ERF,
  POLLARD_TANH,
  POLLARD_SIGMOID,
  POLLARD_RELU,       // relu(-0) = +0, NaN stays
  POLLARD_GELU_ERF,   // x/2 · (1 + erf(x/√2))
  POLLARD_GELU_TANH,  // x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))
  POLLARD_SILU,       // x / (1 + exp(-x))
  POLLARD_QUICK_GELU, // x / (1 + exp(-1.702·x))
  POLLARD_SOFTPLUS,   // max(x, 0) + log(1 + exp(-|x|))
  POLLARD_MISH,       // x · tanh(softplus(x))
  POLLARD_TAN,
  POLLARD_ASIN,
  POLLARD_ACOS,
  POLLARD_ATAN,
  POLLARD_SINH,
  POLLARD_COSH,
  POLLARD_ASINH,
  POLLARD_ACOSH,
  POLLARD_ATANH,
  POLLARD_EXPM1,  // exp(x) - 1
  POLLARD_LOG1P,  // log(1 + x)
  POLLARD_UNARY_COUNT,
} pollard_unary;

/// y[r, c] = f(x[r, c]). x and y may be the same buffer.
void pollard_unary_f32(
  int operation, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y, ptrdiff_t y_row_stride);

/// y[i] = f(x[i]) in double precision. x and y may be the same buffer.
void pollard_unary_f64(int operation, size_t count, const double *x, double *y);

/// z[i] = x[i]^y[i] in double precision, special cases as C99 pow. z may be the buffer of an operand.
void pollard_power_f64(size_t count, const double *x, const double *y, double *z);

typedef enum pollard_binary {
  POLLARD_ADD = 0,
  POLLARD_SUBTRACT,
  POLLARD_MULTIPLY,
  POLLARD_DIVIDE,
  POLLARD_MAXIMUM,  // NaN if either is
  POLLARD_MINIMUM,  // NaN if either is
  POLLARD_POWER,    // <= 0.51 ULP, special cases as C99 pow
  POLLARD_BINARY_COUNT,
} pollard_binary;

/// An operand seen as [rows, columns]: a column stride of 0 repeats one value along the row, a row stride of 0 the row.
/// A column stride other than 0 must be 1.
typedef struct pollard_operand {
  const float *data;
  ptrdiff_t row_stride;
  ptrdiff_t column_stride;
} pollard_operand;

/// y[r, c] = f(a[r, c], b[r, c]). y may be the same buffer as a contiguous operand.
void pollard_binary_f32(
  int operation, size_t rows, size_t columns, pollard_operand a, pollard_operand b, float *y, ptrdiff_t y_row_stride);

// MARK: Matrix product

/// Columns of one panel of a packed matrix.
#define POLLARD_PANEL 32

/// Packs panels [panel_begin, panel_end) of the matrix B[depth, columns] into `packed`, the start of the whole packed
/// matrix: panel p holds depth rows of 32 floats at packed + p · depth · 32, with zeros right of the last column.
/// `transposed` 0: element (k, n) is source[k · stride + n]; 1: it is source[n · stride + k].
void pollard_pack_panels(
  float *packed, int type, const void *source, ptrdiff_t stride, int transposed, size_t depth, size_t columns,
  size_t panel_begin, size_t panel_end);

/// C[rows, columns] = activation(A[rows, depth] · B + bias)
typedef struct pollard_gemm {
  const float *a;
  ptrdiff_t a_row_stride;
  const void *packed;   // from pollard_pack_panels, its floats encoded as packed_type
  const float *bias;    // [columns], or NULL
  float *c;
  ptrdiff_t c_row_stride;
  size_t columns;
  size_t depth;
  int activation;   // a pollard_unary; POLLARD_COPY for none
  int packed_type;  // POLLARD_F32, POLLARD_F16 or POLLARD_BF16
} pollard_gemm;

/// Computes rows [row_begin, row_end) of the panels [panel_begin, panel_end). C must not overlap A.
void pollard_gemm_f32(
  const pollard_gemm *gemm, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

// MARK: Attention

/// Queries handled together; ranges of queries begin at multiples of it.
#define POLLARD_ATTENTION_STRIP 48

/// One head of attention: out = softmax(cap(q · kᵀ · scale) + bias, where allowed) · v
typedef struct pollard_attention {
  const float *query;  // [queries, head_dimension]
  ptrdiff_t query_stride;
  const float *key;  // [keys, head_dimension]
  ptrdiff_t key_stride;
  const float *value;  // [keys, value_dimension]
  ptrdiff_t value_stride;
  float *output;  // [queries, value_dimension]
  ptrdiff_t output_stride;
  size_t queries, keys, head_dimension, value_dimension;
  float scale;
  float softcap;      // 0: none; else s becomes softcap · tanh(s / softcap)
  const float *bias;  // [queries, keys], added to the scores, or NULL
  ptrdiff_t bias_stride;
  const uint8_t *mask;  // [queries, keys], 0 forbids, or NULL
  ptrdiff_t mask_stride;
  int causal;               // query i sees keys j <= i + causal_offset
  ptrdiff_t causal_offset;  // usually keys - queries
  size_t window;            // 0: none; else query i sees only keys j > i + causal_offset - window
} pollard_attention;

/// Floats of scratch that `pollard_attention_f32` needs.
size_t pollard_attention_scratch(size_t keys, size_t head_dimension, size_t value_dimension);

/// Computes queries [query_begin, query_end) of one head; query_begin is a multiple of POLLARD_ATTENTION_STRIP.
/// Forbidden keys weigh exactly +0, a query that sees no key gives zeros. Weights are exp(s - max) / sum.
void pollard_attention_f32(const pollard_attention *attention, size_t query_begin, size_t query_end, float *scratch);

// MARK: Convolution

/// Convolution of one image over two axes:
/// output[f, y, x] = activation(Σ_c Σ_i Σ_j input[c, y · row_stride + i · row_dilation - rows_before, …]
///                              · weights[f, (c, i, j)] + bias[f] + added[f, y, x]).
/// Sums run over ascending (c, i, j); outside of the input lie zeros.
typedef struct pollard_convolution {
  const float *input;  // [channels, rows, columns]
  size_t rows, columns;
  size_t output_rows, output_columns;
  size_t window_rows, window_columns;
  size_t row_stride, column_stride;
  size_t row_dilation, column_dilation;
  ptrdiff_t rows_before, columns_before;  // padding; negative cuts
  size_t depth;                           // channels · window_rows · window_columns
  const float *weights;                   // [filters, depth], or NULL
  const void *packed;                     // its transpose from pollard_pack_panels, or NULL
  int weight_type;                        // that of `packed`: POLLARD_F32, POLLARD_F16 or POLLARD_BF16
  const float *bias;   // [filters], or NULL
  const float *added;  // [filters, output_rows, output_columns], or NULL
  float *output;       // [filters, output_rows, output_columns]
  int activation;      // a pollard_unary; POLLARD_COPY for none
} pollard_convolution;

/// Computes the outputs [output_begin, output_end), counted row by row, of the filters [filter_begin, filter_end).
/// filter_begin is a multiple of POLLARD_PANEL. The output must not overlap the input.
void pollard_convolution_f32(
  const pollard_convolution *convolution, size_t output_begin, size_t output_end, size_t filter_begin,
  size_t filter_end);

// MARK: Rows

/// Each row: exp(x - max) / sum. A row of only -inf gives NaN.
void pollard_softmax_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y, ptrdiff_t y_row_stride);

/// Each row: (x - mean) / sqrt(mean((x - mean)²) + epsilon) · scale + bias; scale and bias may be NULL.
void pollard_layer_norm_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, const float *bias,
  float epsilon, float *y, ptrdiff_t y_row_stride);

/// Each row: x / sqrt(mean(x²) + epsilon) · scale; scale may be NULL.
void pollard_rms_norm_f32(
  size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, const float *scale, float epsilon, float *y,
  ptrdiff_t y_row_stride);

typedef enum pollard_reduction {
  POLLARD_REDUCE_SUM = 0,
  POLLARD_REDUCE_MEAN,
  POLLARD_REDUCE_MAXIMUM,
  POLLARD_REDUCE_MINIMUM,
  POLLARD_REDUCE_SUM_OF_SQUARES,
  POLLARD_REDUCTION_COUNT,
} pollard_reduction;

/// y[r] = reduction of row r. Of no columns: sum 0, mean NaN, maximum -inf, minimum +inf.
void pollard_reduce_rows_f32(
  int reduction, size_t rows, size_t columns, const float *x, ptrdiff_t x_row_stride, float *y);

/// Rotates the first 2 · half elements of each row by the angles whose cosines and sines are given ([rows, half]; a
/// stride of 0 repeats one row of angles). Pairs are (i, i + half), or (2i, 2i + 1) when interleaved.
/// Elements from 2 · half to columns are copied. x and y may be the same buffer.
void pollard_rotary_f32(
  size_t rows, size_t columns, size_t half, int interleaved, const float *x, ptrdiff_t x_row_stride,
  const float *cosines, const float *sines, ptrdiff_t angle_row_stride, float *y, ptrdiff_t y_row_stride);

// MARK: Scans and comparison

/// Which rows and columns of a block hold anything but zero (-0 counts as zero), and which hold NaN or infinity.
/// Every flag is one byte that is set to 1 or left alone; every flag pointer may be NULL.
typedef struct pollard_scan_flags {
  uint8_t *row_nonzero;     // [rows]
  uint8_t *column_nonzero;  // [columns]
  uint8_t *row_nonfinite;
  uint8_t *column_nonfinite;
} pollard_scan_flags;

/// Scans the block [rows, columns] of `type`; rows whose byte in `row_select` is 0 are passed over (NULL: none are).
void pollard_scan_block(
  int type, const void *data, ptrdiff_t row_stride, size_t rows, size_t columns, const uint8_t *row_select,
  pollard_scan_flags flags);

typedef struct pollard_comparison {
  uint64_t differing;         // pairs that are neither == nor both NaN
  uint64_t first_differing;   // index of the first of them; count if none
  uint64_t sign_differences;  // pairs +0 and -0
  uint64_t nonfinite_mismatches;  // of the differing: one side NaN or infinite
  uint64_t max_ulp;           // over finite pairs, distance in representable values of the type
  double max_absolute;        // over finite pairs
  double max_reference;       // largest finite |a|
  double dot_ab, dot_aa, dot_bb;  // over finite pairs
} pollard_comparison;

/// Compares two float32 buffers, a being the reference.
pollard_comparison pollard_compare_f32(const float *a, const float *b, size_t count);

/// Compares two buffers of doubles, a being the reference; distances are in representable doubles.
pollard_comparison pollard_compare_f64(const double *a, const double *b, size_t count);

// MARK: Blocks

/// GGML's numbers of the types whose elements are packed into blocks.
typedef enum pollard_block_format {
  POLLARD_BLOCK_Q4_0 = 2,
  POLLARD_BLOCK_Q4_1 = 3,
  POLLARD_BLOCK_Q5_0 = 6,
  POLLARD_BLOCK_Q5_1 = 7,
  POLLARD_BLOCK_Q8_0 = 8,
  POLLARD_BLOCK_Q8_1 = 9,
  POLLARD_BLOCK_Q2_K = 10,
  POLLARD_BLOCK_Q3_K = 11,
  POLLARD_BLOCK_Q4_K = 12,
  POLLARD_BLOCK_Q5_K = 13,
  POLLARD_BLOCK_Q6_K = 14,
  POLLARD_BLOCK_Q8_K = 15,
  POLLARD_BLOCK_IQ2_XXS = 16,
  POLLARD_BLOCK_IQ2_XS = 17,
  POLLARD_BLOCK_IQ3_XXS = 18,
  POLLARD_BLOCK_IQ1_S = 19,
  POLLARD_BLOCK_IQ4_NL = 20,
  POLLARD_BLOCK_IQ3_S = 21,
  POLLARD_BLOCK_IQ2_S = 22,
  POLLARD_BLOCK_IQ4_XS = 23,
  POLLARD_BLOCK_IQ1_M = 29,
  POLLARD_BLOCK_TQ1_0 = 34,
  POLLARD_BLOCK_TQ2_0 = 35,
  POLLARD_BLOCK_MXFP4 = 39,
  POLLARD_BLOCK_NVFP4 = 40,
  POLLARD_BLOCK_Q1_0 = 41,
  POLLARD_BLOCK_Q2_0 = 42,
  POLLARD_BLOCK_FORMATS = 43,
} pollard_block_format;

/// Elements of one block; 0 for other numbers than those of `pollard_block_format`.
size_t pollard_block_elements(int format);
/// Bytes of one block; 0 for other numbers than those of `pollard_block_format`.
size_t pollard_block_bytes(int format);
/// 1 for the formats that `pollard_pack_blocks` writes.
int pollard_block_writable(int format);

/// Unpacks `count` blocks to float32, as GGML's `dequantize_row_*` do: the same bits, except which NaN a NaN scale gives.
/// Any bytes are blocks: no code reaches outside its table.
void pollard_unpack_blocks(int format, const void *source, float *destination, size_t count);

/// Packs float32 numbers into `count` blocks of a writable format, byte for byte as `ggml_quantize_chunk` does without
/// an importance matrix. Returns the index of the first block with NaN or infinity, `count` if there is none; such
/// blocks become zero bytes.
size_t pollard_pack_blocks(int format, const float *source, void *destination, size_t count);

#ifdef __cplusplus
}
#endif
