#pragma once

#include "store/index.h"

namespace carrel {

/// Puts every reading and tail found under readings/ into an empty index, from the segments alone. What was visible is
/// visible again; a last batch that no row had shown yet may be too, when all of it is there and right. Folders that
/// cannot be read are left as they are.
Status rebuildIndex(FileSystem& files, const std::filesystem::path& readings, Index& index);

}  // namespace carrel
