#pragma once

#include <carrel/result.h>

#include <QObject>
#include <QThread>

#include <functional>
#include <memory>
#include <utility>

namespace carrel::app {

/// One door on one thread: opened there, called there in order, closed there.
template <class Door>
class Lane {
  public:
    Lane(const char* name, std::function<Result<std::unique_ptr<Door>>()> open) {
        thread_.setObjectName(QString::fromLatin1(name));
        context_.moveToThread(&thread_);
        thread_.start();
        post([this, open = std::move(open)] {
            auto door = open();
            if (door)
                door_ = std::move(*door);
            else
                error_ = door.error();
        });
    }
    ~Lane() { close(); }

    /// Runs work on the lane's thread, after all that was posted before.
    void post(std::function<void()> work) {
        QMetaObject::invokeMethod(&context_, std::move(work), Qt::QueuedConnection);
    }
    /// Lets what was posted finish, closes the door, joins the thread. Twice is harmless.
    void close() {
        if (!thread_.isRunning()) return;
        post([this] {
            door_.reset();
            QThread::currentThread()->quit();
        });
        thread_.wait();
    }

    // On the lane's thread only.
    Door* door() { return door_.get(); }
    const Error& openError() const { return error_; }

  private:
    QThread thread_;
    QObject context_;
    std::unique_ptr<Door> door_;
    Error error_;
};

}  // namespace carrel::app
