#include "CTensorKernels.h"
