// What went wrong, and the one thing to do about it.
#include "app_controller.h"
#include "report.h"

#include <QDesktopServices>
#include <QFileInfo>

namespace carrel::app {

void AppController::showProblem(const QString& sentence) {
    show(sentence);
}

void AppController::show(const Problem& problem) {
    remember(problem);
    const bool same = problem.text == problem_.text;
    problem_ = problem;
    if (!same) emit problemChanged();
}

void AppController::remember(const Problem& problem) {
    if (problem.error) last_ = problem;
}

void AppController::useRemedy() {
    const Problem problem = problem_;
    dismissProblem();
    use(problem);
}

void AppController::use(const Problem& problem) {
    remember(problem);
    switch (problem.remedy) {
        case Remedy::Close:
            return;
        case Remedy::TryAgain:
            return problem.again();
        case Remedy::ChooseModel:
            return chooseModel();
        case Remedy::FreeSpace:
            library_.shown()->setOrder(ShownLibrary::Size);
            emit spaceWanted();
            return;
        case Remedy::ShowFile:
            QDesktopServices::openUrl(QUrl::fromLocalFile(QFileInfo(problem.file).absolutePath()));
            return;
        case Remedy::EnterPassword:
            return library_.askPassword(library_.current(), false);
        case Remedy::AddDocument:
            return chooseDocuments();
        case Remedy::CopyReport:
            return copyReport();
    }
}

void AppController::copyReport() {
    copy(report());
}

QString AppController::report() const {
    ReportFacts facts;
    facts.modelFile = model_.file();
    facts.fingerprint = model_.fingerprint();
    facts.processor = processor_.processor();
    facts.error = last_.error;
    facts.doing = last_.doing;
    facts.secrets = library_.names() + chat_.texts();
    return reportText(facts);
}

}  // namespace carrel::app
