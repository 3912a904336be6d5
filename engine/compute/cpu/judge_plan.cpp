#include "compute/cpu/judge_plan.h"

namespace carrel {

void Judgement::run(const JudgeArgs&) {}

}  // namespace carrel
