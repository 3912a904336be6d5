#pragma once

#include <carrel/result.h>

#include <QString>

namespace carrel::app {

/// One failure in a person's words: what happened, and what to do next. Translated; holds no document text.
/// what: names the thing it happened to (a document's title); empty: taken from error.where.
QString errorText(const Error& error, const QString& what = {});

}  // namespace carrel::app
