#pragma once

#include "engine_port.h"
#include "passwords.h"

#include <QQuickAsyncImageProvider>

namespace carrel::app {

/// "image://page/<sha256>/<page>", drawn by the Pages door as wide as the item asks. Pages scrolled past are not drawn.
class PageImageProvider : public QQuickAsyncImageProvider {
  public:
    PageImageProvider(EnginePort& port, const Passwords& passwords) : port_(port), passwords_(passwords) {}
    QQuickImageResponse* requestImageResponse(const QString& id, const QSize& requestedSize) override;  // image thread

  private:
    EnginePort& port_;
    const Passwords& passwords_;
};

}  // namespace carrel::app
