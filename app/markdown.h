#pragma once

#include <QList>
#include <QString>
#include <QStringList>

namespace carrel::app {

/// One block of an answer, as the conversation shows it: a row of its own.
struct MarkdownBlock {
    enum class Kind { Paragraph, Heading, List, Code, Table, Quote, Rule };
    Kind kind = Kind::Paragraph;
    QString
        html;  // inline and list tags written here and nowhere else: no images, no styles, links only http(s), mailto
    QString plain;      // the same without marks: for code, copying and screen readers
    QString language;   // Code
    int level = 0;      // Heading, 1..6
    int columns = 0;    // Table; cells row by row, the first row is the head
    QStringList cells;  // html
    bool operator==(const MarkdownBlock&) const = default;
};

/// Parses CommonMark with tables. HTML in it is shown as text; images become their description.
QList<MarkdownBlock> parseMarkdown(const QString& text);

/// Where the last part of text begins that more text could still change. What is before it is final.
qsizetype openPart(const QString& text);

/// Text that is still being written, without half a marker at its end.
QString withoutDanglingMarks(const QString& text);

}  // namespace carrel::app
