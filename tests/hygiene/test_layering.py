"""layering.py on made-up folders: a test that cannot fail guards nothing."""
import pathlib
import tempfile
import unittest

import layering


class Layering(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def test_an_upward_include_fails_and_names_file_and_folder(self):
        self.write("segment.cpp", '#include "store/segment.h"\n#include "kv/cache.h"')
        bad = layering.check_module(self.folder, "store", {"base", "tensor"})
        self.assertEqual(bad, [f"{self.folder}/segment.cpp:2: store may not include kv"])

    def test_what_a_module_may_use_passes(self):
        self.write("segment.cpp", '#include "base/file.h"\n#include "segment.h"\n#include <carrel/result.h>\n#include <vector>')
        self.assertEqual(layering.check_module(self.folder, "store", {"base"}), [])

    def test_angle_brackets_and_dots_are_no_way_around(self):
        for include in ("<kv/cache.h>", '"../kv/cache.h"', '"./../kv/cache.h"'):
            self.write("segment.h", f"#  include {include}")
            self.assertEqual(len(layering.check_module(self.folder, "store", {"base"})), 1, include)

    def test_qt_poppler_and_cuda_stay_where_they_belong(self):
        self.write("cpu/x.cpp", "#include <QString>\n#include <poppler.h>\n#include <cuda_runtime.h>")
        self.write("pdf_helper/x.cpp", "#include <poppler.h>")
        self.write("cuda/x.cu", "#include <cuda_runtime.h>")
        self.assertEqual(len(layering.check_module(self.folder, "compute", set())), 3)

    def test_the_app_sees_the_engine_by_its_public_headers_only(self):
        self.write("port.h", "#include <carrel/compute.h>\n#include <QObject>\n#include <vector>")
        self.write("cli/main.cpp", '#include "port.h"\n#include <CLI/CLI.hpp>\n#include "main.moc"')
        self.assertEqual(layering.check_app(self.folder), [])
        for include in ('"kv/cache.h"', "<kv/cache.h>", "<sqlite3.h>", '"../engine/kv/cache.h"'):
            self.write("bad.cpp", f"#include {include}")
            self.assertEqual(len(layering.check_app(self.folder)), 1, include)

    def test_the_public_headers_need_nothing_but_the_standard_library(self):
        self.write("carrel/a.h", "#include <carrel/b.h>\n#include <stop_token>")
        self.assertEqual(layering.check_api(self.folder), [])
        self.write("carrel/a.h", '#include <sqlite3.h>\n#include "base/file.h"')
        self.assertEqual(len(layering.check_api(self.folder)), 2)

    def test_cpp_in_ui_is_named(self):
        self.write("Main.qml", "Item {}")
        self.assertEqual(layering.check_ui(self.folder), [])
        self.write("helper.cpp", "")
        self.assertIn("helper.cpp", layering.check_ui(self.folder)[0])


if __name__ == "__main__":
    unittest.main()
