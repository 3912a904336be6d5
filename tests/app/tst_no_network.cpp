#include "app/no_network.h"

#include <QTest>

#include <atomic>
#include <cerrno>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

using namespace carrel::app;

class TestNoNetwork : public QObject {
    Q_OBJECT

    static int socketError(int family, int type) {
        const int fd = socket(family, type, 0);
        if (fd < 0) return errno;
        close(fd);
        return 0;
    }

  private slots:
    void internetSocketsAreRefusedInEveryThreadAndLocalOnesStay() {
        int before = 0, fromThread = 0;
        std::atomic<bool> go = false;
        std::thread older([&] {  // exists before the filter: it must be covered too
            before = socketError(AF_UNIX, SOCK_STREAM);
            while (!go) std::this_thread::yield();
            fromThread = socketError(AF_INET, SOCK_STREAM);
        });
        const QString why = refuseInternet();
        go = true;
        older.join();
        if (!why.isEmpty()) QSKIP(qPrintable(QStringLiteral("no seccomp here: ") + why));
        QCOMPARE(before, 0);
        QCOMPARE(fromThread, EPERM);
        QCOMPARE(socketError(AF_INET, SOCK_STREAM), EPERM);
        QCOMPARE(socketError(AF_INET, SOCK_DGRAM), EPERM);
        QCOMPARE(socketError(AF_INET6, SOCK_STREAM), EPERM);
        QCOMPARE(socketError(AF_UNIX, SOCK_STREAM), 0);
    }
};

QTEST_MAIN(TestNoNetwork)
#include "tst_no_network.moc"
