#pragma once

#include "engine_port.h"
#include "pages_model.h"
#include "passwords.h"

#include <QPointF>
#include <QRectF>
#include <QSet>
#include <QVariantList>

#include <map>

namespace carrel::app {

/// Ways through the open document: its table of contents, the links on its pages, and back to where one was.
class Navigator : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("PagesController owns it")
    Q_PROPERTY(
        QVariantList outline READ outline NOTIFY outlineChanged)  // {title, level from 0, page or 0, leads: somewhere}
    Q_PROPERTY(bool canGoBack READ canGoBack NOTIFY pastChanged)

  public:
    Navigator(EnginePort& port, Passwords& passwords, PagesModel& pages, QObject* parent = nullptr);

    QVariantList outline() const { return outline_; }
    bool canGoBack() const { return !past_.empty(); }

    void open(const QString& document);  // empty: none. The outline comes later
    bool isLinkAt(int page, const QPointF& at);
    /// Those of a page that lead somewhere; null: they are asked for now, and linksKnown says when they are there.
    const std::vector<PageLink>* linksOf(int page);

    Q_INVOKABLE void follow(int entry);  // of the outline
    /// The entry whose section holds a place: a row of the list and how far down its height; -1: none.
    Q_INVOKABLE int entryAt(int row, double down) const;
    Q_INVOKABLE bool followLink(int page, const QPointF& at);  // false: none there, as far as is known by now
    Q_INVOKABLE void leave(int row, double down);              // a place to come back to
    Q_INVOKABLE void back();

  signals:
    void outlineChanged();
    void pastChanged();
    void linksKnown();
    void placeWanted(int row, double down, bool jump);
    void addressWanted(const QString& address);  // outside of the document: the person is asked

  private:
    struct Place {
        int row = -1;
        double down = 0;
        auto operator<=>(const Place&) const = default;
    };
    void askForOutline(const QString& document);
    Place placeOf(const Target& target) const;
    const PageLink* linkAt(int page, const QPointF& at);

    EnginePort& port_;
    Passwords& passwords_;
    PagesModel& pages_;
    QString document_;
    QVariantList outline_;
    std::vector<Place> places_;  // of the outline's entries
    std::map<std::uint32_t, std::vector<PageLink>> links_;
    QSet<int> asked_;
    std::vector<Place> past_;  // newest last
};

}  // namespace carrel::app
