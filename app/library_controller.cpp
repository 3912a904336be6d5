#include "library_controller.h"

#include <QDesktopServices>
#include <QFileInfo>

namespace carrel::app {

LibraryController::LibraryController(EnginePort& port, Passwords& passwords, Options options, QObject* parent)
    : QObject(parent),
      port_(port),
      passwords_(passwords),
      options_(std::move(options)),
      documents_(options_.paused),
      forgetting_(options_.undoTime) {
    connect(&forgetting_, &Forgetting::undone, this, &LibraryController::undone);
    connect(&forgetting_, &Forgetting::due, this, &LibraryController::due);
    connect(&port_, &EnginePort::readingEnded, this, &LibraryController::refresh);
    connect(&port_, &EnginePort::answered, this, &LibraryController::refresh);
}

void LibraryController::stop() {
    stopAdding_.request_stop();
    forgetting_.finish();
}

void LibraryController::refresh() {
    port_.storedReadings([this](const Result<std::vector<StoredReading>>& readings) {
        if (readings) documents_.setStored(*readings);  // a list without sizes is no reason for a message
    });
}

QString LibraryController::currentTitle() const {
    const DocumentRow* row = documents_.find(current_);
    return row ? QString::fromStdString(row->title) : QString();
}

QStringList LibraryController::names() const {
    QStringList out;
    for (int row = 0; row < documents_.rowCount(); ++row) {
        const DocumentRow* document = documents_.at(row);
        const QString path = QString::fromStdString(document->originalPath);
        const QFileInfo file(path);
        out << QString::fromStdString(document->title) << path << file.fileName() << file.completeBaseName()
            << file.absolutePath();
    }
    return out;
}

void LibraryController::load(const QString& sha) {
    port_.documents([this, sha](const Result<std::vector<DocumentRow>>& rows) {
        if (!rows) {
            emit problem(problemOf(rows.error(), Doing::Start, {}, [this, sha] { load(sha); }));
            return;
        }
        documents_.setDocuments(*rows);
        refresh();
        const DocumentRow* row = documents_.find(sha);
        // A password prompt nobody asked for is no greeting: an encrypted document waits to be clicked.
        if (row && row->state == DocumentState::Ready && current_.isEmpty()) open(sha);
    });
}

void LibraryController::setAdding(const QString& text) {
    if (adding_ == text) return;
    adding_ = text;
    emit addingChanged();
}

void LibraryController::addFiles(const QList<QUrl>& files) {
    for (const QUrl& url : files) {
        if (url.isLocalFile())
            queue_ << url.toLocalFile();
        else
            emit problem(tr("Only files on this computer can be added. Save it first, then drop the file here."));
    }
    addNext();
}

void LibraryController::addNext() {
    if (busy_ || queue_.isEmpty() || !passwordFor_.isEmpty()) return;
    add(queue_.takeFirst(), {});
}

void LibraryController::add(const QString& file, const std::string& password) {
    busy_ = true;
    stopAdding_ = {};
    const QString name = QFileInfo(file).fileName();
    setAdding(tr("Adding %1…").arg(name));
    const auto progress = [this, name](std::uint32_t done, std::uint32_t total) {
        if (busy_) setAdding(tr("Adding %1: page %2 of %3").arg(name).arg(done).arg(total));
    };
    port_.add(file.toStdString(), password, progress, stopAdding_.get_token(),
              [this, file, password](const Result<DocumentRow>& row) { added(file, password, row); });
}

void LibraryController::added(const QString& file, const std::string& password, const Result<DocumentRow>& result) {
    busy_ = false;
    setAdding({});
    const QString name = QFileInfo(file).fileName();
    if (!result) {
        const Code code = result.error().code;
        if (code == Code::NeedsPassword || code == Code::WrongPassword)
            prompt(name, file, {}, code == Code::WrongPassword || !password.empty());
        else if (code != Code::Cancelled)
            emit problem(
                problemOf(result.error(), Doing::Add, name, [this, file] { addFiles({QUrl::fromLocalFile(file)}); }));
        return addNext();
    }
    const DocumentRow& row = *result;
    const QString sha = QString::fromStdString(row.sha256);
    forgetting_.keep(Forgetting::Document, sha);  // it was forgotten, and is wanted after all
    documents_.put(row);
    switch (row.state) {
        case DocumentState::NeedsPassword:
            prompt(QString::fromStdString(row.title), file, sha, !password.empty());
            break;
        case DocumentState::NoText:
            emit problem(problemOf({Code::NoText, {}, row.reason}, Doing::Add, name));
            break;
        case DocumentState::Refused:
            emit problem(problemOf({Code::Unsupported, {}, row.reason}, Doing::Add, name));
            break;
        case DocumentState::Adding:
            break;
        case DocumentState::Ready:
            if (!password.empty()) passwords_.set(row.sha256, password);
            open(sha);
            break;
    }
    addNext();
}

void LibraryController::stopAdding() {
    queue_.clear();
    stopAdding_.request_stop();
}

void LibraryController::open(const QString& sha) {
    const DocumentRow* row = documents_.find(sha);
    if (!row) return;
    if (row->state == DocumentState::NeedsPassword || row->state == DocumentState::Adding) {
        queue_ << QString::fromStdString(row->originalPath);
        return addNext();
    }
    if (row->state != DocumentState::Ready || sha == current_) return;
    port_.opened(row->sha256, {});
    documents_.put(DocumentRow(*row));
    current_ = sha;
    emit currentChanged();
    emit documentOpened(*documents_.find(sha));
}

// Nothing is deleted yet: it is out of sight until it is undone or due.
void LibraryController::forget(const QString& sha) {
    const DocumentRow* row = documents_.find(sha);
    if (!row) return;
    const QString title = QString::fromStdString(row->title);
    hidden_[sha] = {*row, documents_.indexOf(sha), sha == current_};
    emit aboutToForget(sha);
    if (sha == current_) {
        current_.clear();
        emit currentChanged();
    }
    documents_.remove(sha);
    forgetting_.add(Forgetting::Document, sha, title);
}

void LibraryController::forgetReading(const QString& sha) {
    const DocumentRow* row = documents_.find(sha);
    if (!row) return;
    emit readingHidden(sha);
    forgetting_.add(Forgetting::Reading, sha, QString::fromStdString(row->title));
}

void LibraryController::undone(Forgetting::What what, const QString& sha) {
    if (what == Forgetting::Reading) {
        emit readingKept(sha);
        return;
    }
    const Hidden hidden = hidden_.take(sha);
    documents_.put(hidden.row, hidden.at);
    refresh();
    if (hidden.open && current_.isEmpty()) open(sha);
}

void LibraryController::due(Forgetting::What what, const QString& sha) {
    const auto told = [this](const Status& done) {
        if (!done && done.error().code != Code::NotFound) emit problem(problemOf(done.error(), Doing::Forget));
    };
    if (what == Forgetting::Document) {
        const Hidden hidden = hidden_.take(sha);
        // The row goes first: what a crash leaves behind then is files nobody can see, and they are swept.
        port_.forget(sha.toStdString(), [this, told, hidden](const Status& done) {
            if (!done) documents_.put(hidden.row, hidden.at);
            told(done);
        });
    }
    port_.forgetReadings(sha.toStdString(), [this, told](const Status& done) {
        told(done);
        refresh();
    });
    if (what == Forgetting::Reading) {
        emit readingGone(sha);
        return;
    }
    passwords_.drop(sha.toStdString());
    emit forgotten(sha);
}

void LibraryController::showFile(const QString& sha) {
    const DocumentRow* row = documents_.find(sha);
    if (!row) return;
    const QFileInfo original(QString::fromStdString(row->originalPath));
    const QString folder =
        original.exists() ? original.absolutePath() : options_.dataFolder + QStringLiteral("/documents/") + sha;
    if (!QDesktopServices::openUrl(QUrl::fromLocalFile(folder)))
        emit problem(tr("No file manager could be opened. The file is in %1.").arg(folder));
}

void LibraryController::prompt(const QString& title, const QString& file, const QString& sha, bool wrong) {
    passwordFor_ = title;
    passwordFile_ = file;
    passwordSha_ = sha;
    passwordProblem_ = wrong ? tr("That password does not open it.") : QString();
    emit passwordChanged();
}

void LibraryController::askPassword(const QString& sha, bool wrong) {
    const DocumentRow* row = documents_.find(sha);
    if (row && passwordFor_.isEmpty()) prompt(QString::fromStdString(row->title), {}, sha, wrong);
}

void LibraryController::givePassword(const QString& password) {
    const QString file = passwordFile_, sha = passwordSha_;
    busy_ = !file.isEmpty();  // keeps the queue waiting: this file comes first
    cancelPassword();
    if (!file.isEmpty()) return add(file, password.toStdString());
    passwords_.set(sha.toStdString(), password.toStdString());
    if (const DocumentRow* row = documents_.find(sha); row && sha == current_) emit documentOpened(*row);
}

void LibraryController::cancelPassword() {
    passwordFor_.clear();
    passwordProblem_.clear();
    passwordFile_.clear();
    passwordSha_.clear();
    emit passwordChanged();
    addNext();
}

}  // namespace carrel::app
