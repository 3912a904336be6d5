#pragma once

#include <carrel/result.h>

#include "gguf/file.h"

namespace carrel {

/// Whether a GGUF is a model that can be asked, and all of one. Unsupported says what it is instead: one part of
/// several, a vocabulary alone, an adapter, a projector for pictures, a model that gives embeddings.
Status checkKind(const GgufFile& file);

}  // namespace carrel
