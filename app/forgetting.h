#pragma once

#include <QtQml/qqmlregistration.h>
#include <QObject>

#include <chrono>
#include <list>

class QTimer;

namespace carrel::app {

/// What was forgotten a moment ago and can be had back. Nothing is deleted before its time is over or the window
/// closes: a program that dies meanwhile has forgotten nothing.
class Forgetting : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("LibraryController owns it")
    Q_PROPERTY(QString sentence READ sentence NOTIFY changed)  // of the last one; empty: there is none

  public:
    enum What { Reading, Document };
    Q_ENUM(What)
    explicit Forgetting(std::chrono::milliseconds time = std::chrono::seconds(10), QObject* parent = nullptr);

    QString sentence() const;
    void add(What what, const QString& sha, const QString& title);
    bool holds(What what, const QString& sha) const;
    void keep(What what, const QString& sha);  // as undo() of this one; nothing where it is not held
    void finish();                             // all of it, now
    Q_INVOKABLE void undo();                   // the last one

  signals:
    void changed();
    void undone(Forgetting::What what, const QString& sha);
    void due(Forgetting::What what, const QString& sha);  // to be deleted now

  private:
    struct Entry {
        What what;
        QString sha, title;
        QTimer* timer;
    };
    using Entries = std::list<Entry>;
    void end(Entries::iterator entry, bool undo);
    Entries::iterator find(What what, const QString& sha);

    std::chrono::milliseconds time_;
    Entries entries_;  // in order
};

}  // namespace carrel::app
