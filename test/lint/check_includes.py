#!/usr/bin/env python3
"""check_includes.py SRC: the modules of SRC include only what SRC/DEPENDENCIES allows.

Fails on: an include of a module that is not listed for the including one, a folder that the table does not know, a
listed module that is unknown itself, a cycle in the table, a relative include ("../x.h", or "x.h" for a file of the
same module: write "module/x.h"), and an include of a file that does not exist.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.MULTILINE)
GENERATED = {"version.h"}  # made by CMake, at the root of the include path
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".c"}


def read_table(path):
    """{module: set of modules}, and the errors found while reading it."""
    table, errors = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        module, colon, allowed = line.partition(":")
        module = module.strip()
        if not colon or not re.fullmatch(r"[a-z][a-z0-9_]*", module):
            errors.append(f"{path}:{number}: not of the form 'module: dep dep': {line!r}")
        elif module in table:
            errors.append(f"{path}:{number}: '{module}' is listed twice")
        else:
            table[module] = set(allowed.split())
    for module, allowed in table.items():
        for unknown in sorted(allowed - set(table)):
            errors.append(f"{path}: '{module}' lists '{unknown}', which is no module of the table")
    return table, errors


def find_cycle(table):
    """The modules of one cycle, first and last the same; None where there is none."""
    done = set()

    def visit(module, trail):
        if module in trail:
            return trail[trail.index(module):] + [module]
        if module in done:
            return None
        for other in sorted(table.get(module, ())):
            if cycle := visit(other, trail + [module]):
                return cycle
        done.add(module)
        return None

    for module in sorted(table):
        if cycle := visit(module, []):
            return cycle
    return None


def check_file(source, src, module, allowed):
    errors = []
    text = source.read_text(errors="replace")
    for match in INCLUDE.finditer(text):
        name = match.group(1)
        place = f"{source}:{text.count(chr(10), 0, match.start()) + 1}"
        if name in GENERATED:
            continue
        parts = name.split("/")
        if ".." in parts or "." in parts or len(parts) < 2:
            errors.append(f'{place}: relative include "{name}": write "module/file.h"')
        elif parts[0] != module and parts[0] not in allowed:
            errors.append(f'{place}: {module} may not include {parts[0]} ("{name}"): see src/DEPENDENCIES')
        elif not (src / name).is_file():
            errors.append(f'{place}: "{name}" does not exist')
    return errors


def check(src):
    table, errors = read_table(src / "DEPENDENCIES")
    if cycle := find_cycle(table):
        errors.append(f"{src / 'DEPENDENCIES'}: cycle: {' -> '.join(cycle)}")
    for folder in sorted(p for p in src.iterdir() if p.is_dir()):
        sources = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES)
        if folder.name not in table:
            if sources:
                errors.append(f"{folder}: not in src/DEPENDENCIES")
            continue
        for source in sources:
            errors += check_file(source, src, folder.name, table[folder.name])
    return errors


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_includes.py SRC")
    errors = check(pathlib.Path(sys.argv[1]))
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
