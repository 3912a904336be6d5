#include "compute/backend.h"
