#include "store/reading_store.h"
