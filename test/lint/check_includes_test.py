#!/usr/bin/env python3
"""Each rule of check_includes.py, broken once."""
import pathlib
import tempfile
import unittest

import check_includes


class Includes(unittest.TestCase):
    def errors(self, table, **files):
        """What the checker says about a src/ with this table; a file `sys_a_h` is sys/a.h."""
        with tempfile.TemporaryDirectory() as folder:
            src = pathlib.Path(folder)
            (src / "DEPENDENCIES").write_text(table)
            for name, text in files.items():
                module, stem, suffix = name.split("_")
                (src / module).mkdir(exist_ok=True)
                (src / module / f"{stem}.{suffix}").write_text(text)
            return "\n".join(check_includes.check(src))

    def test_accepts_listed_modules_own_files_and_generated_headers(self):
        self.assertEqual("", self.errors(
            "# a comment\nbase:\nsys: base # another\n",
            base_a_h="#include <string>\n",
            sys_b_h='#include "base/a.h"\n',
            sys_b_cpp='#include "sys/b.h"\n#include "version.h"\n'))

    def test_rejects_a_module_that_is_not_listed(self):
        found = self.errors("base:\nsys: base\n", base_a_h='\n #  include "sys/b.h"\n', sys_b_h="")
        self.assertIn("base may not include sys", found)
        self.assertIn("a.h:2", found)

    def test_does_not_follow_listed_modules_further(self):
        self.assertIn("top may not include base", self.errors(
            "base:\nsys: base\ntop: sys\n", base_a_h="", top_c_h='#include "base/a.h"\n'))

    def test_rejects_relative_includes(self):
        for include in ("../base/a.h", "b.h", "./b.h"):
            found = self.errors("base:\nsys: base\n", base_a_h="", sys_b_h="", sys_c_h=f'#include "{include}"\n')
            self.assertIn("relative include", found)

    def test_rejects_cycles(self):
        self.assertIn("cycle: a -> b -> a", self.errors("a: b\nb: a\n"))

    def test_rejects_unknown_modules_in_the_table_and_in_the_tree(self):
        self.assertIn("'a' lists 'x'", self.errors("a: x\n"))
        self.assertIn("not in src/DEPENDENCIES", self.errors("a:\n", b_x_h=""))

    def test_rejects_files_that_do_not_exist(self):
        self.assertIn("does not exist", self.errors("a:\n", a_x_h='#include "a/y.h"\n'))

    def test_rejects_a_malformed_table(self):
        self.assertIn("not of the form", self.errors("a b\n"))
        self.assertIn("listed twice", self.errors("a:\na:\n"))


if __name__ == "__main__":
    unittest.main()
