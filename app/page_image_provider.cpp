#include "page_image_provider.h"

#include <QImage>

#include <atomic>
#include <memory>
#include <utility>

namespace carrel::app {
namespace {

constexpr int kStandardWidth = 800;  // where an item asks for no size

// The pixels stay where the engine put them.
QImage imageOf(const PageImage& page) {
    using Pixels = std::shared_ptr<const std::vector<std::byte>>;
    return {reinterpret_cast<const uchar*>(page.pixels->data()),
            static_cast<int>(page.width),
            static_cast<int>(page.height),
            static_cast<qsizetype>(page.stride),
            QImage::Format_RGB32,
            [](void* kept) { delete static_cast<Pixels*>(kept); },
            new Pixels(page.pixels)};
}

class PageResponse : public QQuickImageResponse {
  public:
    std::shared_ptr<std::atomic<bool>> wanted() { return wanted_; }
    QQuickTextureFactory* textureFactory() const override {
        return QQuickTextureFactory::textureFactoryForImage(image_);
    }
    QString errorString() const override { return image_.isNull() ? QStringLiteral("page not drawn") : QString(); }
    void cancel() override { *wanted_ = false; }
    void done(const QImage& image) {
        image_ = image;
        emit finished();
    }

  private:
    std::shared_ptr<std::atomic<bool>> wanted_ = std::make_shared<std::atomic<bool>>(true);
    QImage image_;
};

}  // namespace

QQuickImageResponse* PageImageProvider::requestImageResponse(const QString& id, const QSize& requestedSize) {
    auto* response = new PageResponse;  // Qt deletes it after finished()
    const QString document = id.section(QLatin1Char('/'), 0, 0);
    const int page = id.section(QLatin1Char('/'), 1, 1).toInt();
    const int width = requestedSize.width() > 0 ? requestedSize.width() : kStandardWidth;
    const bool draft = id.endsWith(QLatin1String("/draft"));
    const QImage known = draft ? images_->widest(document, page) : images_->find(document, page, width);
    if (!known.isNull()) {  // finished() is heard only after this has returned
        QMetaObject::invokeMethod(
            response, [response, known] { response->done(known); }, Qt::QueuedConnection);
        return response;
    }
    QMetaObject::invokeMethod(
        &port_,
        [this, response, document, page, width] {
            const std::string sha = document.toStdString();
            port_.render(
                sha, passwords_.of(sha), static_cast<std::uint32_t>(page), static_cast<std::uint32_t>(width),
                [wanted = response->wanted()] { return wanted->load(); },
                [=, this](const Result<PageImage>& result) {
                    const QImage image = result ? imageOf(*result) : QImage();
                    images_->put(document, page, image);
                    if (drawn_ && (result || result.error().code != Code::Cancelled))
                        drawn_(document, page, result ? Status() : Status(result.error()));
                    response->done(image);
                });
        },
        Qt::QueuedConnection);
    return response;
}

}  // namespace carrel::app
