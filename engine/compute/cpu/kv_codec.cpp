#include "compute/cpu/kv_codec.h"

namespace carrel {

void KvCodecs::encode(KvCodec, std::size_t, std::span<const EncodeGroup>) {}
void KvCodecs::unpack(KvCodec, std::size_t, std::span<const UnpackLeaf>) {}

}  // namespace carrel
