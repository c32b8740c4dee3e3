#include "kernel_table.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define POLLARD_TABLE pollard_table_avx512
#define POLLARD_TILE_ROWS 12
#define POLLARD_TILE_VECTORS 2
#define POLLARD_ZMM 1

#pragma clang attribute push( \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#include "kernels.h"
#pragma clang attribute pop
#endif
