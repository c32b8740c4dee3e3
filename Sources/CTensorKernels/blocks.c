// Sizes of the block formats.

#include "CTensorKernels.h"

typedef struct block_size {
  uint16_t elements, bytes;
  uint16_t writable;
} block_size;

static const block_size sizes[POLLARD_BLOCK_FORMATS] = {
  [POLLARD_BLOCK_Q4_0] = {32, 18, 1},
  [POLLARD_BLOCK_Q4_1] = {32, 20, 1},
  [POLLARD_BLOCK_Q5_0] = {32, 22, 1},
  [POLLARD_BLOCK_Q5_1] = {32, 24, 1},
  [POLLARD_BLOCK_Q8_0] = {32, 34, 1},
  [POLLARD_BLOCK_Q8_1] = {32, 36, 0},
  [POLLARD_BLOCK_Q2_K] = {256, 84, 1},
  [POLLARD_BLOCK_Q3_K] = {256, 110, 1},
  [POLLARD_BLOCK_Q4_K] = {256, 144, 1},
  [POLLARD_BLOCK_Q5_K] = {256, 176, 1},
  [POLLARD_BLOCK_Q6_K] = {256, 210, 1},
  [POLLARD_BLOCK_Q8_K] = {256, 292, 0},
  [POLLARD_BLOCK_IQ2_XXS] = {256, 66, 0},
  [POLLARD_BLOCK_IQ2_XS] = {256, 74, 0},
  [POLLARD_BLOCK_IQ3_XXS] = {256, 98, 0},
  [POLLARD_BLOCK_IQ1_S] = {256, 50, 0},
  [POLLARD_BLOCK_IQ4_NL] = {32, 18, 1},
  [POLLARD_BLOCK_IQ3_S] = {256, 110, 0},
  [POLLARD_BLOCK_IQ2_S] = {256, 82, 0},
  [POLLARD_BLOCK_IQ4_XS] = {256, 136, 0},
  [POLLARD_BLOCK_IQ1_M] = {256, 56, 0},
  [POLLARD_BLOCK_TQ1_0] = {256, 54, 1},
  [POLLARD_BLOCK_TQ2_0] = {256, 66, 1},
  [POLLARD_BLOCK_MXFP4] = {32, 17, 1},
  [POLLARD_BLOCK_NVFP4] = {64, 36, 0},
  [POLLARD_BLOCK_Q1_0] = {128, 18, 0},
  [POLLARD_BLOCK_Q2_0] = {64, 18, 0},
};

static int is_known(int format) { return format >= 0 && format < POLLARD_BLOCK_FORMATS; }

size_t pollard_block_elements(int format) { return is_known(format) ? sizes[format].elements : 0; }
size_t pollard_block_bytes(int format) { return is_known(format) ? sizes[format].bytes : 0; }
int pollard_block_writable(int format) { return is_known(format) && sizes[format].writable; }
