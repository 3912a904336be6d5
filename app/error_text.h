#pragma once

#include <carrel/result.h>

#include <QString>

#include <functional>
#include <optional>

namespace carrel::app {

/// What was being done when it failed.
enum class Doing { Start, Add, Open, Read, Answer, LoadModel, Find, ShowPages, Save, Forget };
inline constexpr int kDoings = static_cast<int>(Doing::Forget) + 1;

/// The one thing to do about it: the button beside the sentence.
enum class Remedy { Close, TryAgain, ChooseModel, FreeSpace, ShowFile, EnterPassword, AddDocument, CopyReport };

/// One failure in a person's words: why, what was kept, and one thing to do. Translated; holds no document text.
struct Problem {
    Problem() = default;
    Problem(const QString& sentence) : text(sentence) {}  // NOLINT: a sentence is a problem that can be closed

    QString text;
    Remedy remedy = Remedy::Close;
    QString file;                 // ShowFile: its path
    std::function<void()> again;  // TryAgain; without it there is nothing to try and remedy is CopyReport
    std::optional<Error> error;   // for a report
    Doing doing = Doing::Start;
};

/// what: names the thing it happened to (a document's title); empty: taken from error.where.
Problem problemOf(const Error& error, Doing doing, const QString& what = {}, std::function<void()> again = {});
/// Its text alone.
QString errorText(const Error& error, Doing doing = Doing::Open, const QString& what = {});
QString errorText(const Error& error, const QString& what);
Remedy remedyOf(Code code, Doing doing);
QString remedyText(Remedy remedy);
/// "DiskFull": as result.h has it. For reports; not translated.
QString codeName(Code code);
QString doingName(Doing doing);

}  // namespace carrel::app
