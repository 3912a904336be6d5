#include "error_text.h"

#include <carrel/cuda.h>

#include <QCoreApplication>
#include <QFileInfo>

#include <array>
#include <utility>

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

QString cause(Code code) {
    switch (code) {
        case Code::InvalidArgument:
            return tr("Carrel cannot do this with %1: %2.");
        case Code::NotFound:
            return tr("%1 cannot be found; it may have been moved or deleted.");
        case Code::NoPermission:
            return tr("Carrel is not allowed to use %1.");
        case Code::Io:
            return tr("Reading or writing %1 failed: %2.");
        case Code::DiskFull:
            return tr("There is not enough room on the disk (%2).");
        case Code::NoMemory:
            return tr("There is not enough memory for %1: %2.");
        case Code::Truncated:
            return tr("%1 is incomplete: the file ends too early.");
        case Code::Corrupt:
            return tr("%1 is damaged (%2).");
        case Code::NotAModel:
            return tr("%1 is not a model that Carrel can run, which are files whose names end in .gguf.");
        case Code::Unsupported:
            return tr("%1 cannot be used here: %2.");
        case Code::NotADocument:
            return tr("%1 is not a document that Carrel can read, which are PDF, plain text and Markdown.");
        case Code::NeedsPassword:
            return tr("%1 is encrypted and needs its password.");
        case Code::WrongPassword:
            return tr("That password does not open %1.");
        case Code::NoText:
            return tr("%1 has pages but no text in them; it is probably a scan.");
        case Code::HelperFailed:
            return tr("The program that reads documents gave up on %1.");
        case Code::Busy:
            return tr("Another Carrel is using %1.");
        case Code::Cancelled:
            return tr("Stopped.");
        case Code::Internal:
            break;
    }
    return tr("Something went wrong inside Carrel with %1 (%2).");
}

QString kept(Doing doing) {
    switch (doing) {
        case Doing::Start:
        case Doing::Open:
            return tr("Your documents and chats are as they were.");
        case Doing::Add:
            return tr("The file itself was not touched, and the library is as it was.");
        case Doing::Read:
            return tr("Everything read so far is kept.");
        case Doing::Answer:
            return tr("Your question and the chat are kept.");
        case Doing::LoadModel:
            return tr("Your documents, what was read of them and the chats are kept.");
        case Doing::Find:
        case Doing::ShowPages:
            return tr("The document, what was read of it and its chats are kept.");
        case Doing::Save:
            return tr("What was saved before is kept.");
        case Doing::Forget:
            return tr("What was not deleted is still there.");
    }
    return {};
}

// Of a file that cannot be used, where another one would do.
Remedy another(Doing doing) {
    if (doing == Doing::LoadModel) return Remedy::ChooseModel;
    return doing == Doing::Add ? Remedy::AddDocument : Remedy::TryAgain;
}

QString capitalised(QString text) {
    if (!text.isEmpty()) text[0] = text[0].toUpper();
    return text;
}

}  // namespace

Remedy remedyOf(Code code, Doing doing) {
    const bool model = doing == Doing::LoadModel || doing == Doing::Read || doing == Doing::Answer;
    switch (code) {
        case Code::DiskFull:
            return Remedy::FreeSpace;
        case Code::NoMemory:
            return model ? Remedy::ChooseModel : Remedy::TryAgain;
        case Code::NeedsPassword:
        case Code::WrongPassword:
            return Remedy::EnterPassword;
        case Code::NoPermission:
            return doing == Doing::Add || doing == Doing::LoadModel ? Remedy::ShowFile : Remedy::TryAgain;
        case Code::NotAModel:
            return Remedy::ChooseModel;
        case Code::Unsupported:
            return doing == Doing::Read || doing == Doing::Answer ? Remedy::ChooseModel : another(doing);
        case Code::NotFound:
        case Code::Truncated:
        case Code::Corrupt:
        case Code::NotADocument:
        case Code::NoText:
            return another(doing);
        case Code::Io:
        case Code::HelperFailed:
        case Code::Busy:
        case Code::Cancelled:
            return Remedy::TryAgain;
        case Code::InvalidArgument:
            return another(doing);
        case Code::Internal:
            break;
    }
    return Remedy::CopyReport;
}

QString remedyText(Remedy remedy) {
    switch (remedy) {
        case Remedy::Close:
            return tr("Close");
        case Remedy::TryAgain:
            return tr("Try again");
        case Remedy::ChooseModel:
            return tr("Choose another model…");
        case Remedy::FreeSpace:
            return tr("Free space…");
        case Remedy::ShowFile:
            return tr("Show file");
        case Remedy::EnterPassword:
            return tr("Enter password…");
        case Remedy::AddDocument:
            return tr("Add another file…");
        case Remedy::CopyReport:
            return tr("Copy report");
    }
    return {};
}

QString errorText(const Error& error, Doing doing, const QString& what) {
    QString detail = QString::fromStdString(error.detail);
    while (detail.endsWith(QLatin1Char('.'))) detail.chop(1);
    if (detail.isEmpty()) detail = tr("no more is known");
    // One pass for both, so that a %2 inside a file's name is not taken for a place holder.
    QString sentence =
        isGpuFailure(error) ? tr("The GPU failed (%2), and the processor takes its place.") : cause(error.code);
    const QString place = what.isEmpty() ? shortPlace(error) : what;
    if (!sentence.contains(QLatin1String("%1")))
        sentence.replace(QLatin1String("%2"), detail);
    else if (sentence.contains(QLatin1String("%2")))
        sentence = sentence.arg(place, detail);
    else
        sentence = sentence.arg(place);
    if (what.isEmpty() && error.where.empty()) sentence = capitalised(sentence);
    return sentence + QLatin1Char(' ') + kept(doing);
}

QString errorText(const Error& error, const QString& what) {
    return errorText(error, Doing::Open, what);
}

Problem problemOf(const Error& error, Doing doing, const QString& what, std::function<void()> again) {
    Problem out(errorText(error, doing, what));
    out.error = error;
    out.doing = doing;
    out.remedy = isGpuFailure(error) ? Remedy::TryAgain : remedyOf(error.code, doing);
    out.again = std::move(again);
    if (out.remedy == Remedy::ShowFile) {
        out.file = QString::fromStdString(error.where);
        if (!out.file.startsWith(QLatin1Char('/'))) out.remedy = Remedy::TryAgain;
    }
    if (out.remedy == Remedy::TryAgain && !out.again) out.remedy = Remedy::CopyReport;
    return out;
}

QString codeName(Code code) {
    constexpr std::array kNames{
        "InvalidArgument", "NotFound", "NoPermission", "Io",          "DiskFull",     "NoMemory",
        "Truncated",       "Corrupt",  "NotAModel",    "Unsupported", "NotADocument", "NeedsPassword",
        "WrongPassword",   "NoText",   "HelperFailed", "Busy",        "Cancelled",    "Internal"};
    static_assert(kNames.size() == static_cast<std::size_t>(Code::Internal) + 1);
    return QString::fromLatin1(kNames[static_cast<std::size_t>(code)]);
}

QString doingName(Doing doing) {
    constexpr std::array kNames{"Start",     "Add",  "Open",      "Read", "Answer",
                                "LoadModel", "Find", "ShowPages", "Save", "Forget"};
    static_assert(kNames.size() == kDoings);
    return QString::fromLatin1(kNames[static_cast<std::size_t>(doing)]);
}

}  // namespace carrel::app
