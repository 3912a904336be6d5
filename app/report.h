#pragma once

#include "error_text.h"

#include <carrel/cuda.h>

#include <QStringList>

namespace carrel::app {

/// What a report may be made from. `secrets` never get into it: titles, paths, questions, answers.
struct ReportFacts {
    QString modelFile, fingerprint;
    Processor processor;  // that computes
    std::optional<Error> error;
    Doing doing = Doing::Start;
    QStringList secrets;
};

/// Version, machine, model and the last failure as lines of text, to be pasted into a bug report. Whatever could be a
/// person's is a short hash: the same thing has the same one, and nobody can read it.
QString reportText(const ReportFacts& facts);

}  // namespace carrel::app
