"""models/catalog.json says everything that is needed to fetch, offer and license a model."""
import json
import re
import unittest

import tree

OFFERED_LICENCES = {"Apache-2.0", "MIT"}  # what people may be given without conditions
TEST_LICENCES = OFFERED_LICENCES | {"Gemma terms"}


class Catalog(unittest.TestCase):
    def setUp(self):
        self.models = json.loads((tree.ROOT / "models/catalog.json").read_text())["models"]

    def test_every_model_has_name_file_size_hash_licence_window_and_memory(self):
        for model in self.models:
            with self.subTest(model["name"]):
                self.assertRegex(model["sha256"], r"^[0-9a-f]{64}$")
                self.assertRegex(model["file"], r"^[a-z0-9._-]+\.gguf$")
                self.assertIn(model["role"], {"offered", "tests"})
                self.assertIn(model["licence"], OFFERED_LICENCES if model["role"] == "offered" else TEST_LICENCES)
                self.assertTrue(model["title"] and model["architecture"])
                self.assertGreaterEqual(model["window"], 2048)
                self.assertGreater(model["memory_bytes"], model["bytes"])

    def test_exactly_one_model_is_the_default(self):
        self.assertEqual(sum(model["default"] for model in self.models), 1)

    def test_a_model_for_tests_is_neither_the_default_nor_named_by_the_app_or_its_packages(self):
        shipped = [path for folder in ("app", "ui", "packaging", "resources") for path in (tree.ROOT / folder).rglob("*")
                   if path.is_file()]
        for model in (model for model in self.models if model["role"] == "tests"):
            self.assertFalse(model["default"])
            for path in shipped:
                self.assertNotIn(model["file"].encode(), path.read_bytes(), path)

    def test_names_and_files_are_unique(self):
        for key in ("name", "file"):
            self.assertEqual(len({model[key] for model in self.models}), len(self.models))

    def test_every_origin_pins_a_version_and_names_a_member(self):
        for model in self.models:
            self.assertEqual(model["origin"]["kind"], "pypi")
            self.assertTrue(model["origin"]["parts"])
            for part in model["origin"]["parts"]:
                self.assertRegex(part["package"], r"^[a-z0-9-]+$")
                self.assertRegex(part["version"], r"^[0-9.]+$")
                self.assertFalse(part["member"].startswith("/") or ".." in part["member"])

    def test_no_host_is_named(self):
        text = (tree.ROOT / "models/catalog.json").read_text() + (tree.ROOT / "models/fetch").read_text()
        self.assertIsNone(re.search(r"https?://", text))


if __name__ == "__main__":
    unittest.main()
