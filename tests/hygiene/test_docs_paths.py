"""docs_paths.py on made-up documents."""
import pathlib
import unittest

import docs_paths

FILES = [pathlib.PurePath(name) for name in ("dev", "README.md", "engine/README.md", "engine/kv/cache.h", "engine/kv/cache.cpp", "ui/Main.qml")]


def missing(text, document="README.md"):
    return list(docs_paths.missing(pathlib.PurePath(document), text, FILES))


class DocsPaths(unittest.TestCase):
    def test_a_path_that_does_not_exist_is_named(self):
        self.assertEqual(missing("see `engine/kv/gone.h` and [this](engine/gone.md)"), ["engine/gone.md", "engine/kv/gone.h"])

    def test_paths_are_found_from_the_root_from_the_document_and_from_engine(self):
        self.assertEqual(missing("`engine/kv/cache.{h,cpp}` `kv/cache.h:12` `cache.h` [up](../README.md#top) `./dev run`", "engine/README.md"), [])

    def test_a_link_is_relative_to_its_document(self):
        self.assertEqual(missing("[x](README.md)", "engine/README.md"), [])
        self.assertEqual(missing("[x](ui/Main.qml)", "engine/README.md"), ["ui/Main.qml"])

    def test_what_is_no_path_of_this_tree_is_left_alone(self):
        self.assertEqual(missing("`build/release/bin/carrel` `a/b` `std::span` `readings/<id>/` `kv-*.seg` [w](https://x.org)\n```\nengine/no.h\n```"), [])


if __name__ == "__main__":
    unittest.main()
