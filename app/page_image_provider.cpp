#include "page_image_provider.h"

#include <QImage>

#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

namespace carrel::app {
namespace {

constexpr int kStandardWidth = 800;  // where an item asks for no size

class PageResponse : public QQuickImageResponse {
  public:
    std::shared_ptr<std::atomic<bool>> wanted() { return wanted_; }
    QQuickTextureFactory* textureFactory() const override {
        return QQuickTextureFactory::textureFactoryForImage(image_);
    }
    QString errorString() const override { return image_.isNull() ? QStringLiteral("page not drawn") : QString(); }
    void cancel() override { *wanted_ = false; }
    void done(const Result<PageImage>& page) {
        if (page) {
            const auto w = static_cast<int>(page->width), h = static_cast<int>(page->height);
            image_ = QImage(reinterpret_cast<const uchar*>(page->pixels.data()), w, h, static_cast<int>(page->stride),
                            QImage::Format_RGB32)
                         .copy();
        }
        emit finished();
    }

  private:
    std::shared_ptr<std::atomic<bool>> wanted_ = std::make_shared<std::atomic<bool>>(true);
    QImage image_;
};

}  // namespace

QQuickImageResponse* PageImageProvider::requestImageResponse(const QString& id, const QSize& requestedSize) {
    auto* response = new PageResponse;  // Qt deletes it after finished()
    const std::string document = id.section(QLatin1Char('/'), 0, 0).toStdString();
    const std::uint32_t page = id.section(QLatin1Char('/'), 1, 1).toUInt();
    const auto width = static_cast<std::uint32_t>(requestedSize.width() > 0 ? requestedSize.width() : kStandardWidth);
    QMetaObject::invokeMethod(
        &port_,
        [this, response, document, page, width] {
            port_.render(
                document, passwords_.of(document), page, width,
                [wanted = response->wanted()] { return wanted->load(); },
                [response](const Result<PageImage>& image) { response->done(image); });
        },
        Qt::QueuedConnection);
    return response;
}

}  // namespace carrel::app
