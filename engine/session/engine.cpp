#include <carrel/compute.h>
