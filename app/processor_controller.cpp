#include "processor_controller.h"

namespace carrel::app {

QString ProcessorController::name() const {
    if (processor_.backend.empty()) return {};
    return processor_.gpu.empty() ? tr("Processor") : gpu();
}

void ProcessorController::refresh() {
    port_.processor([this](const Result<Processor>& processor) {
        if (!processor) return;  // what it is about fails the next model, too, and is told there
        processor_ = *processor;
        emit changed();
    });
}

}  // namespace carrel::app
