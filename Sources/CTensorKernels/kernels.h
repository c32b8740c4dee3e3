// All kernels, compiled once per instruction set: the including file sets the target and the tile shape.
//
// The code is written with vectors of 16 floats that the compiler maps to one, two or four registers (or to calls of
// fmaf where there is no fused multiply-add), so that every instruction set executes the same IEEE operations.

#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"
#pragma clang diagnostic ignored "-Wpass-failed"

#include "vectors.h"

#include "conversions.h"
#include "functions.h"
#include "elementwise.h"
#include "packing.h"
#include "gemm.h"
#include "rows.h"
#include "attention.h"
#include "convolution.h"
#include "rotary.h"
#include "scan.h"
#include "blocks.h"

const pollard_kernel_table POLLARD_TABLE = {
  .convert_to_f32 = convert_to_f32,
  .convert_from_f32 = convert_from_f32,
  .unary = unary,
  .unary_double = unary_double,
  .power_doubles = power_doubles,
  .binary = binary,
  .pack_panels = pack_panels,
  .gemm = gemm,
  .attention = attention,
  .convolution = convolution,
  .softmax = softmax,
  .layer_norm = layer_norm,
  .rms_norm = rms_norm,
  .reduce_rows = reduce_rows,
  .rotary = rotary,
  .scan_block = scan_block,
  .unpack_blocks = unpack_blocks,
  .pack_blocks = pack_blocks,
};

#pragma clang diagnostic pop
