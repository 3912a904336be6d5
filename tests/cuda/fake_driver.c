// A stand-in for libcuda.so.1, for tests/cuda/loader.py: a driver that finds no device, or, with FAKE_CUDA_VERSION, one
// that is too old.
#include <stdlib.h>
#include <string.h>

enum { kNoDevice = 100 };

static int nothing(void) {
    return kNoDevice;
}
int cuInit(unsigned flags) {
    (void)flags;
    return kNoDevice;
}
int cuDriverGetVersion(int* version) {
    const char* set = getenv("FAKE_CUDA_VERSION");
    *version = set != NULL ? atoi(set) : 13000;
    return 0;
}
int cuGetProcAddress_v2(const char* symbol, void** function, int version, unsigned long long flags, void* status) {
    (void)version, (void)flags;
    if (status != NULL) *(int*)status = 0;
    *function = !strcmp(symbol, "cuInit")                      ? (void*)cuInit
                : !strcmp(symbol, "cuDriverGetVersion")        ? (void*)cuDriverGetVersion
                : !strncmp(symbol, "cuGetProcAddress", 16)     ? (void*)cuGetProcAddress_v2
                                                               : (void*)nothing;
    return 0;
}
int cuGetProcAddress(const char* symbol, void** function, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}
