#pragma once

#include <carrel/pages.h>

#include <QtQml/qqmlregistration.h>
#include <QAbstractListModel>
#include <QSizeF>
#include <QVariantList>

#include <map>
#include <set>

namespace carrel::app {

/// Boxes in points as QML takes them.
QVariantList rectangles(const std::vector<Box>& boxes);

/// The open document as a list: pages to draw, or for text without pages its paragraphs. One of the two is empty.
class PagesModel : public QAbstractListModel {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("PagesController owns it")

  public:
    enum Role {
        PageRole = Qt::UserRole + 1,  // from 1; 0 for a paragraph
        WidthRole,
        HeightRole,   // points
        TextRole,     // paragraph
        HtmlRole,     // the same, what is highlighted inside <b>
        FoundRole,    // rectangles in points: what was looked for on this page
        ChosenRole,   // rectangles in points: words chosen by the person
        ProblemRole,  // a sentence where the page could not be drawn; else empty
        MuteRole      // whether no text was read on the page
    };

    using QAbstractListModel::QAbstractListModel;
    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;

    /// mute: pages on which no text was read.
    void setPages(std::vector<PageSize> sizes, const std::vector<std::uint32_t>& mute = {});
    void setText(const std::string& utf8);
    /// Marks bytes of the text; the row where they begin, or -1.
    int highlight(const ByteSpan& span);
    int rowOf(std::uint64_t byte) const;                              // of the paragraph that holds it, or -1
    void setChosen(std::map<std::uint32_t, std::vector<Box>> boxes);  // by page
    void setProblem(int page, const QString& sentence);
    void setFound(std::vector<Found> found);  // ascending
    const std::vector<Found>& found() const { return found_; }
    const std::vector<PageSize>& sizes() const { return sizes_; }
    QSizeF widest() const;  // of the pages, points; each side's own greatest

  private:
    struct Paragraph {
        std::uint64_t first = 0;  // byte
        QByteArray utf8;
    };
    std::vector<PageSize> sizes_;
    std::vector<Paragraph> paragraphs_;
    ByteSpan marked_;
    std::set<std::uint32_t> mute_;
    std::map<int, QString> problems_;  // by page
    std::vector<Found> found_;
    std::map<std::uint32_t, std::vector<Box>> chosen_;
};

}  // namespace carrel::app
