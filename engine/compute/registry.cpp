#include "compute/registry.h"
