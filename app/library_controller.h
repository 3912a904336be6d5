#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "forgetting.h"
#include "library_model.h"
#include "passwords.h"
#include "shown_library.h"

#include <QList>
#include <QUrl>

namespace carrel::app {

/// Adds, opens, shows and forgets documents; asks for passwords.
class LibraryController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(carrel::app::LibraryModel* documents READ documents CONSTANT)
    Q_PROPERTY(carrel::app::ShownLibrary* shown READ shown CONSTANT)
    Q_PROPERTY(carrel::app::Forgetting* forgetting READ forgetting CONSTANT)
    Q_PROPERTY(QString current READ current NOTIFY currentChanged)  // SHA-256; empty: none is open
    Q_PROPERTY(QString currentTitle READ currentTitle NOTIFY currentChanged)
    Q_PROPERTY(QString adding READ adding NOTIFY addingChanged)              // what is being taken in, in words
    Q_PROPERTY(QString passwordFor READ passwordFor NOTIFY passwordChanged)  // title; empty: none is asked for
    Q_PROPERTY(QString passwordProblem READ passwordProblem NOTIFY passwordChanged)

  public:
    struct Options {
        QString dataFolder;                          // where Carrel's own copies lie
        std::function<bool(const QString&)> paused;  // whether the person paused a document's reading
        std::chrono::milliseconds undoTime = std::chrono::seconds(10);
    };
    LibraryController(EnginePort& port, Passwords& passwords, Options options, QObject* parent = nullptr);

    LibraryModel* documents() { return &documents_; }
    ShownLibrary* shown() { return &shown_; }
    Forgetting* forgetting() { return &forgetting_; }
    QString current() const { return current_; }
    QString currentTitle() const;
    QString adding() const { return adding_; }
    QStringList names() const;  // titles, files and where they are: what a report must not say
    QString passwordFor() const { return passwordFor_; }
    QString passwordProblem() const { return passwordProblem_; }

    /// Loads the list, then opens `sha` if it is in it.
    void load(const QString& sha);
    void askPassword(const QString& sha, bool wrong);  // a page or a reading needs it
    void refresh();                                    // what is on disk of readings has changed
    void stop();                                       // the window closes: what is forgotten is deleted now

    Q_INVOKABLE void addFiles(const QList<QUrl>& files);
    Q_INVOKABLE void open(const QString& sha);
    Q_INVOKABLE void forget(const QString& sha);         // the document and all that was read of it; can be undone
    Q_INVOKABLE void forgetReading(const QString& sha);  // its text and chats stay; can be undone
    Q_INVOKABLE void showFile(const QString& sha);       // its folder, or that of Carrel's copy, in the file manager
    Q_INVOKABLE void stopAdding();
    Q_INVOKABLE void givePassword(const QString& password);
    Q_INVOKABLE void cancelPassword();

  signals:
    void currentChanged();
    void addingChanged();
    void passwordChanged();
    void documentOpened(const carrel::DocumentRow& row);
    void aboutToForget(const QString& sha);
    void forgotten(const QString& sha);
    /// Hidden: what was read is forgotten, though it can still be had back. Gone: it was deleted.
    void readingHidden(const QString& sha);
    void readingKept(const QString& sha);
    void readingGone(const QString& sha);
    void problem(const carrel::app::Problem& problem);

  private:
    void addNext();
    void add(const QString& file, const std::string& password);
    void added(const QString& file, const std::string& password, const Result<DocumentRow>& result);
    void setAdding(const QString& text);
    void prompt(const QString& title, const QString& file, const QString& sha, bool wrong);

    void undone(Forgetting::What what, const QString& sha);
    void due(Forgetting::What what, const QString& sha);

    struct Hidden {  // a document that is forgotten but not deleted
        DocumentRow row;
        int at = 0;  // in the list
        bool open = false;
    };
    EnginePort& port_;
    Passwords& passwords_;
    Options options_;
    LibraryModel documents_;
    ShownLibrary shown_{documents_};
    Forgetting forgetting_;
    QHash<QString, Hidden> hidden_;
    QString current_, adding_;
    QString passwordFor_, passwordProblem_, passwordFile_, passwordSha_;
    QStringList queue_;
    bool busy_ = false;
    std::stop_source stopAdding_;
};

}  // namespace carrel::app
