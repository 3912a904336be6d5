#pragma once

#include <carrel/result.h>

#include <QtQml/qqmlregistration.h>
#include <QObject>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <thread>

namespace carrel::app {

/// Moves a data folder, from and to, as moveDataFolder() does; any thread. progress: bytes done of all.
using MoveData = std::function<Status(const std::string&, const std::string&,
                                      const std::function<void(std::uint64_t, std::uint64_t)>&, std::stop_token)>;

/// Moves the data folder to another place: chosen, asked about, copied and compared on a thread of its own while
/// nothing else runs. Whatever comes of it, the window opens anew afterwards.
class DataMover : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(QString folder READ folder CONSTANT)
    Q_PROPERTY(bool movable READ movable CONSTANT)         // not where the command line names the folder
    Q_PROPERTY(QString target READ target NOTIFY changed)  // chosen; empty: none is
    Q_PROPERTY(bool moving READ moving NOTIFY changed)
    Q_PROPERTY(double fraction READ fraction NOTIFY progressed)  // copied and compared, 0..1

  public:
    /// move: empty where the folder cannot be moved.
    DataMover(QString folder, MoveData move, QObject* parent = nullptr);
    ~DataMover() override;  // stops a move, and waits until its copy is gone

    QString folder() const { return folder_; }
    bool movable() const { return static_cast<bool>(move_); }
    QString target() const { return target_; }
    bool moving() const { return thread_.joinable(); }
    double fraction() const { return fraction_; }

    void choose(const QString& folder);  // itself where it is empty, else a new one in it
    Q_INVOKABLE void start();
    Q_INVOKABLE void cancel();  // the choice, or the move

  signals:
    void changed();
    void progressed();
    void problem(const QString& sentence);
    void aboutToMove();                   // everything that uses the folder must have ended on return
    void ended(const QString& sentence);  // the window is to open anew, and to say so

  private:
    QString folder_, target_;
    MoveData move_;
    double fraction_ = 0;
    std::jthread thread_;
};

}  // namespace carrel::app
