#include "pages_model.h"

#include <QRectF>

#include <algorithm>
#include <utility>

namespace carrel::app {
namespace {

constexpr qsizetype kLongestParagraph = 4000;  // bytes; one row is laid out at once

}  // namespace

QVariantList rectangles(const std::vector<Box>& boxes) {
    QVariantList out;
    for (const Box& b : boxes) out << QRectF(b.x, b.y, b.width, b.height);
    return out;
}

int PagesModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(sizes_.size() + paragraphs_.size());
}

QHash<int, QByteArray> PagesModel::roleNames() const {
    return {{PageRole, "page"},     {WidthRole, "pointWidth"}, {HeightRole, "pointHeight"},
            {TextRole, "text"},     {HtmlRole, "html"},        {FoundRole, "found"},
            {ChosenRole, "chosen"}, {ProblemRole, "problem"},  {MuteRole, "mute"}};
}

QVariant PagesModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const auto row = static_cast<std::size_t>(index.row());
    if (row < sizes_.size()) {
        switch (role) {
            case PageRole:
                return index.row() + 1;
            case WidthRole:
                return sizes_[row].width;
            case HeightRole:
                return sizes_[row].height;
            case FoundRole: {
                QVariantList boxes;
                const auto here =
                    std::ranges::equal_range(found_, static_cast<std::uint32_t>(row) + 1, {}, &Found::page);
                for (const Found& found : here) boxes << rectangles(found.boxes);
                return boxes;
            }
            case ChosenRole: {
                const auto here = chosen_.find(static_cast<std::uint32_t>(row) + 1);
                return here == chosen_.end() ? QVariantList() : rectangles(here->second);
            }
            case MuteRole:
                return mute_.contains(static_cast<std::uint32_t>(row) + 1);
            case ProblemRole: {
                const auto here = problems_.find(index.row() + 1);
                return here == problems_.end() ? QString() : here->second;
            }
            default:
                return {};
        }
    }
    const Paragraph& p = paragraphs_[row - sizes_.size()];
    if (role == PageRole) return 0;
    if (role == FoundRole || role == ChosenRole) return QVariantList();
    if (role == MuteRole) return false;
    if (role == ProblemRole) return QString();
    if (role == TextRole) return QString::fromUtf8(p.utf8);
    if (role != HtmlRole) return {};
    const auto size = static_cast<std::uint64_t>(p.utf8.size());
    const auto begin = std::clamp(marked_.first, p.first, p.first + size) - p.first;
    const auto end = std::clamp(marked_.first + marked_.count, p.first, p.first + size) - p.first;
    const auto part = [&](std::uint64_t from, std::uint64_t to) {
        return QString::fromUtf8(p.utf8.mid(static_cast<qsizetype>(from), static_cast<qsizetype>(to - from)))
            .toHtmlEscaped()
            .replace(QLatin1Char('\n'), QLatin1String("<br>"));
    };
    if (begin == end) return part(0, size);
    return part(0, begin) + QStringLiteral("<b>") + part(begin, end) + QStringLiteral("</b>") + part(end, size);
}

void PagesModel::setPages(std::vector<PageSize> sizes, const std::vector<std::uint32_t>& mute) {
    beginResetModel();
    sizes_ = std::move(sizes);
    mute_ = {mute.begin(), mute.end()};
    paragraphs_.clear();
    marked_ = {};
    found_.clear();
    chosen_.clear();
    problems_.clear();
    endResetModel();
}

void PagesModel::setText(const std::string& utf8) {
    beginResetModel();
    sizes_.clear();
    paragraphs_.clear();
    marked_ = {};
    found_.clear();
    chosen_.clear();
    problems_.clear();
    const QByteArray all = QByteArray::fromStdString(utf8);
    for (qsizetype at = 0; at < all.size();) {
        qsizetype end = all.indexOf("\n\n", at);
        end = end < 0 ? all.size() : end;
        if (end - at > kLongestParagraph) {
            end = at + kLongestParagraph;
            while (end > at && (static_cast<unsigned char>(all[end]) & 0xc0) == 0x80) --end;  // not inside a character
        }
        if (end > at) paragraphs_.push_back({static_cast<std::uint64_t>(at), all.mid(at, end - at)});
        at = end;
        while (at < all.size() && all[at] == '\n') ++at;
    }
    endResetModel();
}

void PagesModel::setProblem(int page, const QString& sentence) {
    if (page < 1 || page > rowCount() || (sentence.isEmpty() && !problems_.contains(page))) return;
    if (sentence.isEmpty())
        problems_.erase(page);
    else
        problems_[page] = sentence;
    emit dataChanged(index(page - 1), index(page - 1), {ProblemRole});
}

void PagesModel::setFound(std::vector<Found> found) {
    if (found.empty() && found_.empty()) return;
    found_ = std::move(found);
    if (rowCount() > 0) emit dataChanged(index(0), index(rowCount() - 1), {FoundRole});
}

QSizeF PagesModel::widest() const {
    QSizeF out;
    for (const PageSize& size : sizes_) out = out.expandedTo(QSizeF(size.width, size.height));
    return out;
}

int PagesModel::highlight(const ByteSpan& span) {
    marked_ = span;
    if (paragraphs_.empty()) return -1;
    emit dataChanged(index(0), index(rowCount() - 1), {HtmlRole});
    return rowOf(span.first);
}

int PagesModel::rowOf(std::uint64_t byte) const {
    if (paragraphs_.empty()) return -1;
    const auto after = std::ranges::upper_bound(paragraphs_, byte, {}, &Paragraph::first);
    return after == paragraphs_.begin() ? 0 : static_cast<int>(after - paragraphs_.begin()) - 1;
}

void PagesModel::setChosen(std::map<std::uint32_t, std::vector<Box>> boxes) {
    std::map<std::uint32_t, std::vector<Box>> before = std::exchange(chosen_, std::move(boxes));
    before.insert(chosen_.begin(), chosen_.end());  // whose pages have changed
    if (before.empty() || before.rbegin()->first > sizes_.size()) return;
    emit dataChanged(index(static_cast<int>(before.begin()->first) - 1),
                     index(static_cast<int>(before.rbegin()->first) - 1), {ChosenRole});
}

}  // namespace carrel::app
