#include <carrel/library.h>
