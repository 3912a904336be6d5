#pragma once

#include "document/document.h"

namespace carrel {

/// A page's text without its running header and footer: a paragraph of at most two lines at the page's edge that has a
/// line in common, figures apart, with that edge of a page not further than two away. Empty where that leaves nothing;
/// the whole place where there are no pages.
ByteSpan pageBody(const Document& document, std::size_t place);

}  // namespace carrel
