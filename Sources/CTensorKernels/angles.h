// Large angles modulo a quarter turn, in integer arithmetic.
#pragma once

#include <stdint.h>

/// x = quadrant · π/2 + high + low modulo whole turns, |high| <= π/4, for finite |x| >= 2^20; NaN for others.
void pollard_reduce_large_angle(double x, double *high, double *low, int64_t *quadrant);
