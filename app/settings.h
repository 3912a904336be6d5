#pragma once

#include <QSettings>
#include <QString>

namespace carrel::app {

/// What the window remembers besides documents and chats. Nothing here names document text.
class Settings {
  public:
    explicit Settings(const QString& file) : store_(file, QSettings::IniFormat) {}

    QString model() const { return store_.value(QStringLiteral("model")).toString(); }  // path of a GGUF
    void setModel(const QString& file) { store_.setValue(QStringLiteral("model"), file); }

    QString lastDocument() const { return store_.value(QStringLiteral("lastDocument")).toString(); }  // SHA-256
    void setLastDocument(const QString& sha) { store_.setValue(QStringLiteral("lastDocument"), sha); }

    /// Paused by the person: not resumed by itself at the next start.
    bool paused(const QString& sha) const { return store_.value(QStringLiteral("paused/") + sha).toBool(); }
    void setPaused(const QString& sha, bool on) {
        if (on)
            store_.setValue(QStringLiteral("paused/") + sha, true);
        else
            store_.remove(QStringLiteral("paused/") + sha);
    }

    QString openFolder() const { return store_.value(QStringLiteral("openFolder")).toString(); }
    void setOpenFolder(const QString& folder) { store_.setValue(QStringLiteral("openFolder"), folder); }

    int libraryOrder() const { return store_.value(QStringLiteral("libraryOrder")).toInt(); }  // ShownLibrary::Order
    void setLibraryOrder(int order) { store_.setValue(QStringLiteral("libraryOrder"), order); }

    /// What reading took, by model and machine: "perToken perPair", seconds.
    QString speed(const QString& key) const { return store_.value(QStringLiteral("speed/") + key).toString(); }
    void setSpeed(const QString& key, const QString& speed) { store_.setValue(QStringLiteral("speed/") + key, speed); }

    int textPercent() const { return store_.value(QStringLiteral("textPercent"), 100).toInt(); }
    void setTextPercent(int percent) { store_.setValue(QStringLiteral("textPercent"), percent); }
    int shade() const { return store_.value(QStringLiteral("shade")).toInt(); }  // Look::Shade
    void setShade(int shade) { store_.setValue(QStringLiteral("shade"), shade); }

  private:
    QSettings store_;
};

}  // namespace carrel::app
