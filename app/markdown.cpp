#include "markdown.h"

#include <md4c.h>

#include <QRegularExpression>
#include <QTextDocumentFragment>
#include <QUrl>

namespace carrel::app {
namespace {

QString attribute(const MD_ATTRIBUTE& a) {
    return QString::fromUtf8(a.text, static_cast<qsizetype>(a.size));
}

bool mayOpen(const QString& href) {
    const QString scheme = QUrl(href).scheme().toLower();
    return scheme == QLatin1String("http") || scheme == QLatin1String("https") || scheme == QLatin1String("mailto");
}

// Hears md4c's events; blocks directly under the document become rows, deeper ones tags inside them.
class Writer {
  public:
    QList<MarkdownBlock> take() { return std::move(blocks_); }

    void enterBlock(MD_BLOCKTYPE type, void* detail) {
        if (type == MD_BLOCK_DOC) return;
        if (depth_++ == 0) {
            current_ = {};
            current_.kind = kindOf(type);
            if (type == MD_BLOCK_H) current_.level = static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level);
            if (type == MD_BLOCK_CODE) current_.language = attribute(static_cast<MD_BLOCK_CODE_DETAIL*>(detail)->lang);
            if (type == MD_BLOCK_TABLE)
                current_.columns = static_cast<int>(static_cast<MD_BLOCK_TABLE_DETAIL*>(detail)->col_count);
        }
        if (type == MD_BLOCK_TH || type == MD_BLOCK_TD) cellStart_ = current_.html.size();
        if (type == MD_BLOCK_OL)
            current_.html += QStringLiteral("<ol start=\"%1\">").arg(static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start);
        else if (depth_ > 1 || type == MD_BLOCK_UL)
            current_.html += openTag(type);
        if (type == MD_BLOCK_LI) current_.plain += QStringLiteral("- ");
    }

    void leaveBlock(MD_BLOCKTYPE type) {
        if (type == MD_BLOCK_DOC) return;
        if (type == MD_BLOCK_OL)
            current_.html += QStringLiteral("</ol>");
        else if (depth_ > 1 || type == MD_BLOCK_UL)
            current_.html += closeTag(type);
        if ((type == MD_BLOCK_TH || type == MD_BLOCK_TD) && current_.kind == MarkdownBlock::Kind::Table) {
            current_.cells << current_.html.mid(cellStart_);
            current_.html.truncate(cellStart_);
        }
        if (type == MD_BLOCK_TH || type == MD_BLOCK_TD) current_.plain += QLatin1Char('\t');
        if (type == MD_BLOCK_P || type == MD_BLOCK_TR || type == MD_BLOCK_LI) endLine();
        if (--depth_ > 0) return;
        while (current_.plain.endsWith(QLatin1Char('\n'))) current_.plain.chop(1);
        blocks_ << current_;
    }

    void span(MD_SPANTYPE type, void* detail, bool enter) {
        QString tag;
        if (type == MD_SPAN_EM)
            tag = QStringLiteral("i");
        else if (type == MD_SPAN_STRONG)
            tag = QStringLiteral("b");
        else if (type == MD_SPAN_CODE)
            tag = QStringLiteral("code");
        else if (type == MD_SPAN_DEL)
            tag = QStringLiteral("s");
        if (!tag.isEmpty())
            current_.html += (enter ? QStringLiteral("<") : QStringLiteral("</")) + tag + QLatin1Char('>');
        if (type != MD_SPAN_A) return;
        const QString href = attribute(static_cast<MD_SPAN_A_DETAIL*>(detail)->href);
        if (!mayOpen(href)) return;
        current_.html += enter ? QStringLiteral("<a href=\"%1\">").arg(href.toHtmlEscaped()) : QStringLiteral("</a>");
    }

    void text(MD_TEXTTYPE type, const QString& raw) {
        switch (type) {
            case MD_TEXT_BR:
                current_.html += QStringLiteral("<br>");
                endLine();
                return;
            case MD_TEXT_SOFTBR:
                current_.html += QLatin1Char(' ');
                current_.plain += QLatin1Char(' ');
                return;
            case MD_TEXT_NULLCHAR:
                return append(QString(QChar::ReplacementCharacter));
            case MD_TEXT_ENTITY:
                return append(QTextDocumentFragment::fromHtml(raw).toPlainText());
            default:
                return append(raw);
        }
    }

  private:
    static MarkdownBlock::Kind kindOf(MD_BLOCKTYPE type) {
        using Kind = MarkdownBlock::Kind;
        switch (type) {
            case MD_BLOCK_QUOTE:
                return Kind::Quote;
            case MD_BLOCK_UL:
            case MD_BLOCK_OL:
                return Kind::List;
            case MD_BLOCK_HR:
                return Kind::Rule;
            case MD_BLOCK_H:
                return Kind::Heading;
            case MD_BLOCK_CODE:
                return Kind::Code;
            case MD_BLOCK_TABLE:
                return Kind::Table;
            default:
                return Kind::Paragraph;
        }
    }
    static QString openTag(MD_BLOCKTYPE type) {
        switch (type) {
            case MD_BLOCK_UL:
                return QStringLiteral("<ul>");
            case MD_BLOCK_LI:
                return QStringLiteral("<li>");
            case MD_BLOCK_P:
                return QStringLiteral("<p>");
            case MD_BLOCK_H:
                return QStringLiteral("<p><b>");
            case MD_BLOCK_CODE:
                return QStringLiteral("<pre>");
            case MD_BLOCK_QUOTE:
                return QStringLiteral("<blockquote>");
            default:
                return {};
        }
    }
    static QString closeTag(MD_BLOCKTYPE type) {
        switch (type) {
            case MD_BLOCK_UL:
                return QStringLiteral("</ul>");
            case MD_BLOCK_LI:
                return QStringLiteral("</li>");
            case MD_BLOCK_P:
                return QStringLiteral("</p>");
            case MD_BLOCK_H:
                return QStringLiteral("</b></p>");
            case MD_BLOCK_CODE:
                return QStringLiteral("</pre>");
            case MD_BLOCK_QUOTE:
                return QStringLiteral("</blockquote>");
            default:
                return {};
        }
    }
    void append(const QString& plain) {
        current_.html += plain.toHtmlEscaped();
        current_.plain += plain;
    }
    void endLine() {
        if (!current_.plain.endsWith(QLatin1Char('\n'))) current_.plain += QLatin1Char('\n');
    }

    QList<MarkdownBlock> blocks_;
    MarkdownBlock current_;
    qsizetype cellStart_ = 0;
    int depth_ = 0;
};

bool isListItem(QStringView line) {
    static const QRegularExpression item(QStringLiteral("^([-*+]|\\d{1,9}[.)])(\\s|$)"));
    return item.match(line.toString()).hasMatch();  // Qt 6.5 renamed the match that takes a view
}

}  // namespace

QList<MarkdownBlock> parseMarkdown(const QString& text) {
    Writer writer;
    MD_PARSER parser{};
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_NOHTML;
    parser.enter_block = [](MD_BLOCKTYPE t, void* d, void* w) { return static_cast<Writer*>(w)->enterBlock(t, d), 0; };
    parser.leave_block = [](MD_BLOCKTYPE t, void*, void* w) { return static_cast<Writer*>(w)->leaveBlock(t), 0; };
    parser.enter_span = [](MD_SPANTYPE t, void* d, void* w) { return static_cast<Writer*>(w)->span(t, d, true), 0; };
    parser.leave_span = [](MD_SPANTYPE t, void* d, void* w) { return static_cast<Writer*>(w)->span(t, d, false), 0; };
    parser.text = [](MD_TEXTTYPE t, const MD_CHAR* s, MD_SIZE n, void* w) {
        static_cast<Writer*>(w)->text(t, QString::fromUtf8(s, static_cast<qsizetype>(n)));
        return 0;
    };
    const QByteArray utf8 = text.toUtf8();
    md_parse(utf8.constData(), static_cast<MD_SIZE>(utf8.size()), &parser, &writer);
    return writer.take();
}

qsizetype openPart(const QString& text) {
    qsizetype open = 0;
    bool fenced = false, blank = false, list = false;
    for (qsizetype at = 0; at < text.size();) {
        qsizetype end = text.indexOf(QLatin1Char('\n'), at);
        const bool complete = end >= 0;
        if (!complete) end = text.size();
        const QStringView line = QStringView(text).mid(at, end - at);
        const bool fence = line.startsWith(QLatin1String("```")) || line.startsWith(QLatin1String("~~~"));
        if (!fenced && fence)
            open = at;
        else if (!fenced && blank && !line.isEmpty() && !line[0].isSpace() && !(list && isListItem(line)))
            open = at;
        if (open == at) list = isListItem(line);  // a list goes on over blank lines
        if (fence) fenced = !fenced;
        blank = line.trimmed().isEmpty();
        at = end + 1;
        if (fence && !fenced && complete) {
            open = at;
            list = false;
        }
    }
    return qMin(open, text.size());
}

QString withoutDanglingMarks(const QString& text) {
    qsizetype end = text.size();
    while (end > 0 && QStringView(u"*_`~").contains(text[end - 1])) --end;
    // A fence's own marks are a line; cutting them would show the code as prose for a moment.
    if (end == 0 || text[end - 1] == QLatin1Char('\n')) return text;
    return text.left(end);
}

}  // namespace carrel::app
