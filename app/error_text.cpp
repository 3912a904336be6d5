#include "error_text.h"

#include <QCoreApplication>
#include <QFileInfo>

namespace carrel::app {
namespace {

QString tr(const char* text) {
    return QCoreApplication::translate("ErrorText", text);
}

// A path is long and half of it is the person's own name; the file's name is what they know it by.
QString shortPlace(const Error& error) {
    const QString where = QString::fromStdString(error.where);
    if (where.isEmpty()) return tr("the file");
    const QString place = where.startsWith(QLatin1Char('/')) ? QFileInfo(where).fileName() : where;
    return place.isEmpty() ? where : place;
}

QString pattern(Code code) {
    switch (code) {
        case Code::InvalidArgument:
            return tr("Carrel cannot do this with %1 (%2). Try another document or model, and please report it.");
        case Code::NotFound:
            return tr("%1 cannot be found. It may have been moved or deleted: open it again from where it is now.");
        case Code::NoPermission:
            return tr("Carrel is not allowed to use %1. Give your user account access to it, then try again.");
        case Code::Io:
            return tr("Reading or writing %1 failed (%2). Check the disk, then try again; what was saved is kept.");
        case Code::DiskFull:
            return tr(
                "There is not enough room on the disk (%2). Free some space, or allow readings more in the settings, "
                "then "
                "resume; everything read so far is kept.");
        case Code::NoMemory:
            return tr("There is not enough memory for %1 (%2). Close other programs or choose a smaller model.");
        case Code::Truncated:
            return tr("%1 is incomplete: the file ends too early. Get it again and open the new copy.");
        case Code::Corrupt:
            return tr("%1 is damaged (%2). Get the file again and open the new copy.");
        case Code::NotAModel:
            return tr("%1 is not a model that Carrel can run. Choose a GGUF file, whose name ends in .gguf.");
        case Code::Unsupported:
            return tr("%1 cannot be used here: %2. Choose another file of a kind that Carrel knows.");
        case Code::NotADocument:
            return tr("%1 is not a document that Carrel can read. Open a PDF, a plain text or a Markdown file.");
        case Code::NeedsPassword:
            return tr("%1 is encrypted. Enter its password to open it.");
        case Code::WrongPassword:
            return tr("That password does not open %1. Enter it again.");
        case Code::NoText:
            return tr("%1 has pages but no text in them; it is probably a scan. Open a copy with a text layer.");
        case Code::HelperFailed:
            return tr("The program that reads documents gave up on %1. Try again; if it repeats, the file is damaged.");
        case Code::Busy:
            return tr("Another Carrel is using this document. Wait until it has finished or close it, then try again.");
        case Code::Cancelled:
            return tr("Stopped. What was read so far is kept: resume whenever you like.");
        case Code::Internal:
            break;
    }
    return tr("Something went wrong inside Carrel with %1 (%2). Nothing saved is lost; please report it.");
}

QString capitalised(QString text) {
    if (!text.isEmpty()) text[0] = text[0].toUpper();
    return text;
}

}  // namespace

QString errorText(const Error& error, const QString& what) {
    QString detail = QString::fromStdString(error.detail);
    while (detail.endsWith(QLatin1Char('.'))) detail.chop(1);
    if (detail.isEmpty()) detail = tr("no more is known");
    // One pass for both, so that a %2 inside a file's name is not taken for a place holder.
    QString sentence = pattern(error.code);
    const QString place = what.isEmpty() ? shortPlace(error) : what;
    if (!sentence.contains(QLatin1String("%1")))
        sentence.replace(QLatin1String("%2"), detail);
    else if (sentence.contains(QLatin1String("%2")))
        sentence = sentence.arg(place, detail);
    else
        sentence = sentence.arg(place);
    return what.isEmpty() && error.where.empty() ? capitalised(sentence) : sentence;
}

}  // namespace carrel::app
