#pragma once

#include <vector>

#include "compute/backend.h"
#include "compute/cuda/arguments.h"
#include "compute/cuda/judge.h"
#include "compute/cuda/scratch.h"

namespace carrel::cuda {

/// Backend::judge. Views are of the backend's memory, as are the sketch and the bounds; `lately` is read from the
/// host before the call returns. Waits for the device only where one choice is made per layer, on the host.
class Judgement {
  public:
    cudaError_t run(const JudgeArgs& args, Arguments& arguments, cudaStream_t stream);

  private:
    cudaError_t some(const JudgeArgs& args, Arguments& arguments, cudaStream_t stream);
    cudaError_t chooseForLayer(const JudgeArgs& args, Judging& j, Arguments& arguments, cudaStream_t stream);

    Scratch scratch_, nodes_;
    std::vector<std::uint16_t> layerChosen_;  // [tokens][leaves]
};

}  // namespace carrel::cuda
