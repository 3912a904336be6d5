#pragma once

#include <carrel/library.h>

#include <QtQml/qqmlregistration.h>
#include <QObject>

namespace carrel::app {

/// How much of the attention each page got for one answer, and what there is to say of pages that got none.
class PageHeat : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(int pages READ pages NOTIFY changed)          // of the document; 0: there is nothing to show
    Q_PROPERTY(QString summary READ summary NOTIFY changed)  // "Pages most read: 12, 45 and 46. Pages 53-193 …"

  public:
    enum class Page { Read, Unread, NoText };

    explicit PageHeat(QObject* parent = nullptr) : QObject(parent) {}

    void setDocument(const DocumentRow& row);
    void show(const TurnRow& turn);  // without page shares: nothing

    int pages() const { return static_cast<int>(shares_.size()); }
    Page kind(int page) const;      // page from 1
    double share(int page) const {  // 0..1 of all attention
        return static_cast<double>(shares_[static_cast<std::size_t>(page) - 1]);
    }
    QString summary() const;
    /// "Page 12: 31 % of the attention"; several pages share a cell where there is no room for one each.
    QString textOf(int firstPage, int lastPage) const;
    int mostRead(int firstPage, int lastPage) const;

  signals:
    void changed();

  private:
    std::vector<float> shares_;
    std::vector<std::uint32_t> withoutText_;
    std::uint32_t read_ = 0;  // pages from the start that the answer could use
    bool goesOn_ = false;
};

}  // namespace carrel::app
