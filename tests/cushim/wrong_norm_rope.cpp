#include <cmath>

#include "compute/cuda/klaunch.h"

// norm_rope.cu as a compiler would make it that takes no notice of fmaf's single rounding: what a self-check is to
// find.
#define fmaf(a, b, c) ((a) * (b) + (c))
#include "compute/cuda/norm_rope.cu"
