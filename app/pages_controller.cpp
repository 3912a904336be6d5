#include "pages_controller.h"

#include <algorithm>

namespace carrel::app {
namespace {

QString why(const Status& failed) {
    switch (failed.error().code) {
        case Code::HelperFailed:
            return PagesController::tr("the program that draws pages gave up on it.");
        case Code::NoMemory:
            return PagesController::tr("it needs more memory than the program that draws pages may use.");
        case Code::Corrupt:
            return PagesController::tr("it is damaged.");
        default:
            return QString::fromStdString(failed.error().detail) + QLatin1Char('.');
    }
}

}  // namespace

PagesController::PagesController(EnginePort& port, Passwords& passwords, QObject* parent)
    : QObject(parent),
      port_(port),
      passwords_(passwords),
      selection_(port, passwords, pages_),
      navigator_(port, passwords, pages_),
      links_(navigator_, selection_, pages_) {
    connect(&navigator_, &Navigator::placeWanted, this, &PagesController::placeWanted);
    connect(&links_, &LinkWalk::chosen, this, &PagesController::linkChosen);
}

int PagesController::shapeAt(int page, const QPointF& at) {
    if (navigator_.isLinkAt(page, at)) return Qt::PointingHandCursor;
    return selection_.isWordAt(page, at) ? Qt::IBeamCursor : Qt::ArrowCursor;
}

void PagesController::setMarks(int page, const QVariantList& marks) {
    markedPage_ = page;
    marks_ = marks;
    emit marked();
}

void PagesController::close() {
    document_.clear();
    endFind();
    links_.stop();
    selection_.open({});
    navigator_.open({});
    pages_.setPages({});
    port_.letGoOfText();
    setMarks(0, {});
    emit documentChanged();
}

void PagesController::open(const DocumentRow& row, const std::optional<Settings::Place>& at) {
    close();
    document_ = QString::fromStdString(row.sha256);
    const QString title = QString::fromStdString(row.title);
    const auto failed = [this, title, row, at](const Error& error) {
        if (error.code == Code::NeedsPassword || error.code == Code::WrongPassword)
            emit needsPassword(document_, error.code == Code::WrongPassword);
        else
            emit problem(problemOf(error, Doing::ShowPages, title, [this, row, at] { open(row, at); }));
    };
    const auto shown = [this, at] {
        navigator_.open(document_);
        emit documentChanged();
        if (at && at->row < pages_.rowCount()) emit placeWanted(at->row, at->down, false);
    };
    const auto stillOpen = [this, document = document_] { return document == document_; };
    if (row.pages == 0) {
        port_.text(row.sha256, [this, failed, stillOpen, shown](const Result<std::string>& text) {
            if (!stillOpen()) return;
            if (!text) return failed(text.error());
            pages_.setText(*text);
            port_.prepareText(document_.toStdString(), {});
            shown();
        });
        return;
    }
    port_.pageSizes(
        row.sha256, passwords_.of(row.sha256),
        [this, failed, stillOpen, shown, mute = row.pagesWithoutText](const Result<std::vector<PageSize>>& sizes) {
            if (!stillOpen()) return;
            if (!sizes) return failed(sizes.error());
            pages_.setPages(*sizes, mute);
            selection_.open(document_);
            const std::string sha = document_.toStdString();
            port_.prepareText(sha, passwords_.of(sha));
            shown();
        });
}

void PagesController::drawn(const QString& document, int page, const Status& status) {
    if (document != document_) return;
    pages_.setProblem(page, status ? QString() : tr("Page %1 could not be drawn: %2").arg(page).arg(why(status)));
}

void PagesController::show(const Source& source) {
    showPlace(source.page, source.span, source.boxes, true);
}

void PagesController::showPlace(std::uint32_t page, const ByteSpan& span, const std::vector<Box>& boxes, bool jump) {
    if (!hasPages()) {
        const int row = pages_.highlight(span);
        if (row >= 0) emit placeWanted(row, 0, jump);
        return;
    }
    if (page == 0 || page > pages_.sizes().size()) return;
    setMarks(static_cast<int>(page), rectangles(boxes));
    const float height = pages_.sizes()[page - 1].height;
    const float top = boxes.empty() ? 0 : boxes.front().y;
    emit placeWanted(static_cast<int>(page) - 1, height > 0 ? std::clamp(top / height, 0.f, 1.f) : 0., jump);
}

void PagesController::endFind() {
    if (search_ == 0) return;  // nothing was ever looked for
    ++search_;
    searching_ = false;
    hit_ = 0;
    pages_.setFound({});
    emit found();
}

void PagesController::find(const QString& words, int fromRow) {
    look(words, std::max(0, fromRow) + 1, 0, false);
}

void PagesController::showWords(const QString& words, int page, quint64 byte) {
    look(words, page, byte, true);
}

void PagesController::look(const QString& words, int page, quint64 byte, bool tell) {
    if (document_.isEmpty() || words.trimmed().isEmpty()) return endFind();
    const std::string document = document_.toStdString();
    port_.find(document, passwords_.of(document), words.toStdString(),
               [this, words, page, byte, tell, search = ++search_](const Result<std::vector<Found>>& result) {
                   if (search != search_) return;
                   if (!result) {
                       emit problem(problemOf(result.error(), Doing::Find, {},
                                              [this, words, page, byte, tell] { look(words, page, byte, tell); }));
                       return;
                   }
                   searching_ = true;
                   hit_ = 0;
                   pages_.setFound(*result);
                   const auto from = std::ranges::find_if(*result, [&](const Found& hit) {
                       return hasPages() ? hit.page >= static_cast<std::uint32_t>(page) : hit.span.first >= byte;
                   });
                   if (!result->empty())
                       nextHit(from == result->end() ? 1 : static_cast<int>(from - result->begin()) + 1);
                   emit found();
                   if (tell) emit wordsShown(words);
               });
}

void PagesController::nextHit(int step) {
    const auto count = static_cast<int>(pages_.found().size());
    if (!searching_ || count == 0) return;
    hit_ = ((hit_ - 1 + step) % count + count) % count + 1;
    const Found& hit = pages_.found()[static_cast<std::size_t>(hit_) - 1];
    showPlace(hit.page, hit.span, hit.boxes, false);
    emit found();
}

}  // namespace carrel::app
