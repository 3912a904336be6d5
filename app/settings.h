#pragma once

#include <carrel/models.h>

#include <QSettings>
#include <QSize>
#include <QStringList>
#include <QVariantList>

#include <optional>

namespace carrel::app {

/// What the window remembers besides documents and chats. Nothing here names document text.
class Settings {
  public:
    explicit Settings(const QString& file) : store_(file, QSettings::IniFormat) {}

    void save() { store_.sync(); }  // else a moment later

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

    /// Where a document's pages were left: a row of their list, and how far down its height, 0..1.
    struct Place {
        int row = 0;
        double down = 0;
    };
    std::optional<Place> place(const QString& sha) const {
        const QVariantList kept = store_.value(QStringLiteral("place/") + sha).toList();
        if (kept.size() != 2) return std::nullopt;
        const Place place{kept[0].toInt(), kept[1].toDouble()};
        return place.row >= 0 && place.down >= 0 && place.down <= 1 ? std::optional(place) : std::nullopt;
    }
    void setPlace(const QString& sha, const Place& place) {
        store_.setValue(QStringLiteral("place/") + sha, QVariantList{place.row, place.down});
    }
    /// Everything of that document.
    void forget(const QString& sha) {
        setPaused(sha, false);
        store_.remove(QStringLiteral("place/") + sha);
    }

    QString openFolder() const { return store_.value(QStringLiteral("openFolder")).toString(); }
    void setOpenFolder(const QString& folder) { store_.setValue(QStringLiteral("openFolder"), folder); }

    QStringList modelFolders() const { return store_.value(QStringLiteral("modelFolders")).toStringList(); }
    void setModelFolders(const QStringList& all) { store_.setValue(QStringLiteral("modelFolders"), all); }
    int threads() const { return store_.value(QStringLiteral("threads")).toInt(); }  // of the model; 0: one per core
    void setThreads(int threads) { store_.setValue(QStringLiteral("threads"), threads); }
    /// What was measured of the computer that this was last used on; nothing of its memory.
    Machine machine() const {
        return {store_.value(QStringLiteral("machine/identity")).toString().toStdString(), 0,
                store_.value(QStringLiteral("machine/bytesPerSecond")).toDouble()};
    }
    void setMachine(const Machine& machine) {
        store_.setValue(QStringLiteral("machine/identity"), QString::fromStdString(machine.identity));
        store_.setValue(QStringLiteral("machine/bytesPerSecond"), machine.bytesPerSecond);
    }

    int libraryOrder() const { return store_.value(QStringLiteral("libraryOrder")).toInt(); }  // ShownLibrary::Order
    void setLibraryOrder(int order) { store_.setValue(QStringLiteral("libraryOrder"), order); }

    int quotaGb() const { return store_.value(QStringLiteral("quotaGb")).toInt(); }  // of readings; 0: automatic
    void setQuotaGb(int gigabytes) { store_.setValue(QStringLiteral("quotaGb"), gigabytes); }
    /// What reading took, by model and machine: "perToken perPair", seconds.
    QString speed(const QString& key) const { return store_.value(QStringLiteral("speed/") + key).toString(); }
    void setSpeed(const QString& key, const QString& speed) { store_.setValue(QStringLiteral("speed/") + key, speed); }

    int textPercent() const { return store_.value(QStringLiteral("textPercent"), 100).toInt(); }
    void setTextPercent(int percent) { store_.setValue(QStringLiteral("textPercent"), percent); }
    int shade() const { return store_.value(QStringLiteral("shade")).toInt(); }  // Look::Shade
    void setShade(int shade) { store_.setValue(QStringLiteral("shade"), shade); }

    QSize windowSize() const { return store_.value(QStringLiteral("window/size")).toSize(); }  // not maximized
    void setWindowSize(const QSize& size) { store_.setValue(QStringLiteral("window/size"), size); }
    bool maximized() const { return store_.value(QStringLiteral("window/maximized")).toBool(); }
    void setMaximized(bool on) { store_.setValue(QStringLiteral("window/maximized"), on); }
    int libraryWidth() const {
        return store_.value(QStringLiteral("window/libraryWidth")).toInt();
    }  // 0: never changed
    void setLibraryWidth(int width) { store_.setValue(QStringLiteral("window/libraryWidth"), width); }
    int pagesWidth() const { return store_.value(QStringLiteral("window/pagesWidth")).toInt(); }
    void setPagesWidth(int width) { store_.setValue(QStringLiteral("window/pagesWidth"), width); }

    int memory(int otherwise) const { return store_.value(QStringLiteral("memory"), otherwise).toInt(); }
    void setMemory(int choice) { store_.setValue(QStringLiteral("memory"), choice); }
    /// What one question came to, by what it was measured on (MemoryController); 0 where nothing was.
    struct Measured {
        double tokensPerSecond = 0;
        std::uint64_t bytes = 0, documentTokens = 0;
    };
    Measured measured(const QString& on) const {
        const QVariantList kept = store_.value(QStringLiteral("measured/") + on).toList();
        if (kept.size() != 3) return {};
        return {kept[0].toDouble(), kept[1].toULongLong(), kept[2].toULongLong()};
    }
    void setMeasured(const QString& on, const Measured& measured) {
        store_.setValue(
            QStringLiteral("measured/") + on,
            QVariantList{measured.tokensPerSecond, qulonglong{measured.bytes}, qulonglong{measured.documentTokens}});
    }

  private:
    QSettings store_;
};

}  // namespace carrel::app
