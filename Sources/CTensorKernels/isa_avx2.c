#include "kernel_table.h"

#if defined(__x86_64__)

#define POLLARD_TABLE pollard_table_avx2
#define POLLARD_TILE_ROWS 6
#define POLLARD_TILE_VECTORS 1

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "kernels.h"
#pragma clang attribute pop
#endif
