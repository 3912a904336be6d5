#pragma once

#include <QDir>
#include <QSize>

namespace carrel::app {

struct Looks {
    QDir folder;  // where pictures go
    int percent = 100;
    bool dark = false;
    QSize size;  // of the window; empty: as it opens
};

/// Every page, popup and dialog of the window, on ScriptedEngine. False: a picture is missing, and why was said.
bool everything(const Looks& looks);

}  // namespace carrel::app
