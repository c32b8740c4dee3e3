// Grids of the IQ formats.
#pragma once

#include <stdint.h>

extern const uint16_t pollard_grid_iq2xxs[256];
extern const uint16_t pollard_grid_iq2xs[512];
extern const uint16_t pollard_grid_iq2s[1024];
extern const uint16_t pollard_grid_iq1s[2048];
extern const uint16_t pollard_grid_iq3xxs[256];
extern const uint16_t pollard_grid_iq3s[512];
