#include "kernel_table.h"

#define POLLARD_TABLE pollard_table_portable
#define POLLARD_TILE_ROWS 2
#define POLLARD_TILE_VECTORS 1

#include "kernels.h"
