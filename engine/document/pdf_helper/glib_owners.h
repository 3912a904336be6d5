#pragma once

#include <poppler.h>

#include <cstdint>
#include <memory>

namespace carrel::pdf {

struct GObjectUnref {
    void operator()(void* object) const { g_object_unref(object); }
};
struct GFree {
    void operator()(void* memory) const { g_free(memory); }
};
using PagePtr = std::unique_ptr<PopplerPage, GObjectUnref>;

inline PagePtr pageOf(PopplerDocument* document, std::uint32_t page) {
    return PagePtr(poppler_document_get_page(document, static_cast<int>(page)));
}

}  // namespace carrel::pdf
