#!/usr/bin/env python3
"""Every path that a Markdown file of this tree names exists: the targets of links, and what stands in `code` and looks like a path.

A path is looked for from the root, from the document's folder and from engine/; a bare file name anywhere in the tree.
What a build or a person makes (build/…, $HOME, globs, placeholders in <>) is not looked for.
"""
import itertools
import pathlib
import re
import sys

import tree

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PLAIN = re.compile(r"[\w.{},/+-]+$")
NAME = re.compile(r"[\w{},-]+\.(?:h|hpp|cpp|cu|qml|md|py|\{h,cpp\})$")


def expand(text):
    """a/{b,c}.h -> a/b.h, a/c.h"""
    pieces = re.split(r"\{([^}]*)\}", text)
    choices = [piece.split(",") if number % 2 else [piece] for number, piece in enumerate(pieces)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def paths_of(text, top):
    """(path, is a link) for everything in the text that claims to be a path of this tree; fenced blocks are not read."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in LINK.findall(text):
        if not re.match(r"[a-z]+:|#", target):
            yield target.split("#")[0], True
    for code in CODE.findall(text):
        word = code.split()[0] if code.startswith("./") else code
        word = re.sub(r":\d+$", "", word.removeprefix("./"))
        if PLAIN.match(word) and (word.split("/")[0] in top or NAME.match(word)):
            for path in expand(word):
                yield path, False


def missing(document, text, files):
    """The paths that `document` (relative to the root) names and that are neither a file nor a folder of `files`."""
    known = {str(path) for path in files} | {str(folder) for path in files for folder in path.parents}
    names = {path.name for path in files}
    top = {path.parts[0] for path in files}
    for path, is_link in paths_of(text, top):
        path = path.rstrip("/")
        places = [document.parent / path] if is_link else [pathlib.PurePath(path), document.parent / path, pathlib.PurePath("engine") / path]
        found = any(normal(place) in known for place in places) or (not is_link and "/" not in path and path in names)
        if not found:
            yield path


def normal(path):
    parts = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


def main():
    files = tree.files()
    documents = [path for path in files if path.suffix == ".md"]
    bad = [f"{document}: names {path}, which does not exist"
           for document in documents for path in missing(document, (tree.ROOT / document).read_text(), files)]
    print("\n".join(bad) if bad else f"{len(documents)} documents name only what exists")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
