#include "pages_controller.h"

#include "error_text.h"

#include <algorithm>

namespace carrel::app {

PagesController::PagesController(EnginePort& port, Passwords& passwords, QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords) {}

void PagesController::setMarks(int page, const QVariantList& marks) {
    markedPage_ = page;
    marks_ = marks;
    emit marked();
}

void PagesController::close() {
    document_.clear();
    pages_.setPages({});
    setMarks(0, {});
    emit documentChanged();
}

void PagesController::open(const DocumentRow& row) {
    close();
    document_ = QString::fromStdString(row.sha256);
    const QString title = QString::fromStdString(row.title);
    const auto failed = [this, title](const Error& error) {
        if (error.code == Code::NeedsPassword || error.code == Code::WrongPassword)
            emit needsPassword(document_, error.code == Code::WrongPassword);
        else
            emit problem(errorText(error, title));
    };
    const auto stillOpen = [this, document = document_] { return document == document_; };
    if (row.pages == 0) {
        port_.text(row.sha256, [this, failed, stillOpen](const Result<std::string>& text) {
            if (!stillOpen()) return;
            if (!text) return failed(text.error());
            pages_.setText(*text);
            emit documentChanged();
        });
        return;
    }
    port_.pageSizes(row.sha256, passwords_.of(row.sha256),
                    [this, failed, stillOpen](const Result<std::vector<PageSize>>& sizes) {
                        if (!stillOpen()) return;
                        if (!sizes) return failed(sizes.error());
                        pages_.setPages(*sizes);
                        emit documentChanged();
                    });
}

void PagesController::show(const Source& source) {
    if (!hasPages()) {
        const int row = pages_.highlight(source.span);
        if (row >= 0) emit placeWanted(row, 0);
        return;
    }
    if (source.page == 0 || source.page > pages_.sizes().size()) return;
    QVariantList boxes;
    for (const Box& b : source.boxes) boxes << QRectF(b.x, b.y, b.width, b.height);
    setMarks(static_cast<int>(source.page), boxes);
    const float height = pages_.sizes()[source.page - 1].height;
    const float top = source.boxes.empty() ? 0 : source.boxes.front().y;
    emit placeWanted(static_cast<int>(source.page) - 1, height > 0 ? std::clamp(top / height, 0.f, 1.f) : 0.);
}

}  // namespace carrel::app
