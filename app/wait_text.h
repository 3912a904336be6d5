#pragma once

#include <QString>

namespace carrel::app {

/// Why an answer is not there yet.
struct Wait {
    enum Kind {
        Model,        // none is loaded
        FirstPages,   // nothing of the document is read
        OtherAnswer,  // one about another document goes first
        Together,     // questions about this document that were asked before
        Pages,        // the layer of a reading that is being computed
        Opening,
        Question,  // its tokens are read
        Answering,
        Stopping,
    };
    Kind kind = Pages;
    QString other;                // OtherAnswer: that document's title
    quint32 done = 0, total = 0;  // Question: tokens; 0 of 0 while that is not known
};

/// "Reading your question 12/31 · 4 s": the wait's name, and from two seconds on how long it has lasted. Translated.
QString waitText(const Wait& wait, int seconds);

}  // namespace carrel::app
