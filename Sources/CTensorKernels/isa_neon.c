#include "kernel_table.h"

#if defined(__aarch64__)

#define POLLARD_TABLE pollard_table_neon
#define POLLARD_TILE_ROWS 6
#define POLLARD_TILE_VECTORS 1

#include "kernels.h"
#endif
