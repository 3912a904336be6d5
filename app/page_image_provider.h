#pragma once

#include "engine_port.h"
#include "page_images.h"
#include "passwords.h"

#include <QQuickAsyncImageProvider>

namespace carrel::app {

/// "image://page/<sha256>/<page>/<anything>", drawn by the Pages door as wide as the item asks, or taken from what was
/// drawn before; "draft" at the end is content with any size that is there. Pages scrolled past are not drawn.
class PageImageProvider : public QQuickAsyncImageProvider {
  public:
    /// What came of a drawing; GUI thread. Not called for one that nobody waited for any more.
    using Drawn = std::function<void(const QString& document, int page, const Status& status)>;

    PageImageProvider(EnginePort& port, const Passwords& passwords, std::shared_ptr<PageImages> images, Drawn drawn)
        : port_(port), passwords_(passwords), images_(std::move(images)), drawn_(std::move(drawn)) {}
    QQuickImageResponse* requestImageResponse(const QString& id, const QSize& requestedSize) override;  // image thread

  private:
    EnginePort& port_;
    const Passwords& passwords_;
    std::shared_ptr<PageImages> images_;
    Drawn drawn_;
};

}  // namespace carrel::app
