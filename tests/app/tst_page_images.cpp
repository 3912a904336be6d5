#include "app/page_images.h"

#include <QTest>

using namespace carrel::app;

// What is kept of drawn pages, and what makes room.
class TestPageImages : public QObject {
    Q_OBJECT

    static QImage drawn(int width) { return QImage(width, 10, QImage::Format_RGB32); }  // 40 bytes a pixel of width

  private slots:
    void theImageUsedLongestAgoMakesRoom() {
        PageImages images(4000);
        const QString document = QStringLiteral("a");
        for (int page = 1; page <= 4; ++page) images.put(document, page, drawn(25));
        QCOMPARE(images.bytes(), 4000);
        QVERIFY(!images.find(document, 1, 25).isNull());
        images.put(document, 5, drawn(50));
        QCOMPARE(images.bytes(), 4000);
        QVERIFY(images.find(document, 2, 25).isNull());
        QVERIFY(images.find(document, 3, 25).isNull());
        QVERIFY(!images.find(document, 1, 25).isNull());
        images.put(document, 6, drawn(101));  // more than all the room
        QVERIFY(images.find(document, 6, 101).isNull());
        QCOMPARE(images.bytes(), 4000);
    }

    void sizesAndDocumentsAreToldApartAndTheWidestIsTheDraft() {
        PageImages images;
        images.put(QStringLiteral("a"), 1, drawn(10));
        images.put(QStringLiteral("a"), 1, drawn(30));
        images.put(QStringLiteral("a"), 1, drawn(20));
        images.put(QStringLiteral("a"), 1, drawn(20));
        images.put(QStringLiteral("b"), 1, drawn(40));
        QCOMPARE(images.bytes(), 40 * (10 + 30 + 20 + 40));
        QVERIFY(images.find(QStringLiteral("a"), 1, 40).isNull());
        QVERIFY(images.find(QStringLiteral("a"), 2, 30).isNull());
        QCOMPARE(images.widest(QStringLiteral("a"), 1).width(), 30);
        images.forget(QStringLiteral("a"));
        QCOMPARE(images.bytes(), 40 * 40);
        QVERIFY(images.widest(QStringLiteral("a"), 1).isNull());
    }
};

QTEST_GUILESS_MAIN(TestPageImages)
#include "tst_page_images.moc"
