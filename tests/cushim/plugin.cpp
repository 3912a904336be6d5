#include "cushim.h"

// The emulation as a plugin is for running programs, not for finding races: threads in order, streams at once.

namespace {

const bool configured = (cushim::configure(cushim::Order::Forward, cushim::Streams::Eager, 1), true);

}  // namespace
