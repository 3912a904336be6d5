#pragma once

#include <carrel/models.h>

#include <QString>

/// What is said of a model that was found. Translated.
namespace carrel::app {

/// "fits", "slow", "won't fit", "not usable"; empty where nothing was measured.
QString fitText(const FoundModel& model);
/// Where it lies, and how fast it would answer with how much memory; or why it cannot be used.
QString modelText(const FoundModel& model);
/// How it is asked, where that is not the file's own way; else empty.
QString formatNote(const ModelInfo& model);

}  // namespace carrel::app
