#include <doctest/doctest.h>

#include "session/provenance.h"

using namespace carrel;

namespace {

Document twoPages() {
    Document document;
    document.kind = DocumentKind::Pdf;
    const std::string pages[] = {
        "The lighthouse on the northern cape was built of granite in 1840. Its keeper trimmed the lamp every evening.",
        "Letters went by the harbour pilot. Nobody knows how many were lost at sea during the storms of that winter."};
    for (const std::string& page : pages) {
        document.places.emplace_back().text = {document.text.size(), page.size()};
        document.text += page + "\n";
    }
    return document;
}

Source sourceOf(const Document& document, const std::string& quote) {
    Source source;
    source.span = {document.text.find(quote), quote.size()};
    return source;
}

}  // namespace

TEST_CASE("an answer's words are looked for in the quotes, in any form, and rare ones weigh more") {
    const Document document = twoPages();
    auto words = WordIndex::build(document);
    REQUIRE(words);
    const std::vector<Source> first = {
        sourceOf(document, "The lighthouse on the northern cape was built of granite in 1840.")};
    const std::vector<Source> second = {sourceOf(document, "Letters went by the harbour pilot.")};
    const std::vector<Source> both = {second[0], first[0]};
    const std::string answer = "It was built of granite: the lighthouses are from 1840.";
    CHECK(*wordSupport(*words, answer, first) > 0.9);
    CHECK(*wordSupport(*words, answer, second) == 0);
    CHECK(*wordSupport(*words, answer, both) == *wordSupport(*words, answer, first));
    CHECK(*wordSupport(*words, "Zeppelins over Paris", both) == 0);
    CHECK(*wordSupport(*words, answer, {}) == 0);
    CHECK(provenanceOf(*words, answer, both) == Provenance::Shown);
    CHECK(provenanceOf(*words, "Zeppelins over Paris.", both) == Provenance::Unclear);
    CHECK(provenanceOf(*words, answer, {}) == Provenance::Unclear);
    CHECK(provenanceOf(*words, "The document does not mention the lighthouse of 1840.", both) == Provenance::NotSaid);
}

TEST_CASE("an answer that denies is told from one that speaks of what is not") {
    for (const char* answer : {
             "The document does not say.",
             "The provided document doesn’t explicitly mention how long it takes.",
             "This is not specified in the given text.",
             "The exit status isn't stated in the document.",
             "There is no information about that in the manual.",
             "I'm sorry, but I cannot find it.",
             "I could not find an answer.",
             "I don't know.",
             "Unfortunately, the text does not appear to contain that.",
         }) {
        CAPTURE(answer);
        CHECK(saysNothingIsSaid(answer));
    }
    for (const char* answer : {
             "",
             "A package that does not contain documentation goes to main.",
             "Packages must not be given an epoch.",
             "No, it is not provided by the maintainer.",
             "The maintainer does not state a reason when orphaning it.",
             "I found it on page 3: the text says 1840.",
             "Scripts should not mention the name.",
         }) {
        CAPTURE(answer);
        CHECK(!saysNothingIsSaid(answer));
    }
}
