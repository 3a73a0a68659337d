#!/usr/bin/env python3
"""check-cli-docs.py SQUISH SQUISHD SOURCE: --help, the manual pages and the completions name the same commands and options.

- docs/man/squish.1 has a section for each command (`.SS squish COMMAND …`), with each option once and no other;
- docs/man/squishd.8 names squishd's options;
- completions/ is what completions/generate.py makes of --help; and bash, where it is, completes with it."""
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True


def man_options(text):
    """The long and short options that a part of a manual page's source introduces (in the lines after .TP)."""
    found = []
    for line in re.findall(r"^\.TP\n(.*)$", text, re.M):
        found += re.findall(r"(?<![\w-])(-\w|--[a-z][a-z0-9-]*)", line.replace("\\-", "-").replace("\\fR", " ").replace("\\fI", " "))
    return found


def check_squish_page(generate, squish, page, errors):
    sections = {}
    for title, body in re.findall(r"^\.SS squish (.*?)\n(.*?)(?=^\.S[SH])", page, re.M | re.S):
        sections[re.match(r"[a-z]+(?: [a-z]+)*", title)[0]] = body
    table = generate.read_all(squish)
    for command, (_, options) in table.items():
        if command not in sections:
            errors.append(f"squish.1 has no section '.SS squish {command}'")
            continue
        wanted = sorted(word for short, long, _, _ in options for word in (short, long) if word and word not in ("-h", "--help"))
        found = sorted(man_options(sections[command]))
        if wanted != found:
            errors.append(f"squish {command}: --help has {wanted}, squish.1 has {found}")
    for title in sections:
        if title not in table:
            errors.append(f"squish.1 has a section for '{title}', which squish does not know")
    if len(table) < 15:
        errors.append(f"only {len(table)} commands were found in squish --help")


def check_squishd_page(squishd, page, errors):
    text = subprocess.run([squishd, "--help"], check=True, capture_output=True, text=True).stdout.split("Options:\n")[1]
    wanted = sorted(re.findall(r"(?<![\w-])(-\w|--[a-z-]+)", "\n".join(line[:22] for line in text.splitlines())))
    found = sorted(man_options(re.search(r"^\.SH OPTIONS\n(.*?)^\.SH", page, re.M | re.S)[1]))
    if wanted != found:
        errors.append(f"squishd: --help has {wanted}, squishd.8 has {found}")


def check_completions(generate, squish, folder, errors):
    for name, text in generate.generate(squish).items():
        if not (folder / name).is_file() or (folder / name).read_text() != text:
            errors.append(f"completions/{name} is not what --help says: run completions/generate.py SQUISH")
    words = "source completions/bash/squish; COMP_WORDS=(squish run --pu); COMP_CWORD=2; _squish; echo \"${COMPREPLY[*]}\""
    said = subprocess.run(["bash", "-c", words], cwd=folder.parent, capture_output=True, text=True, check=False)
    if said.stdout.strip() != "--publish":
        errors.append(f"bash completes 'squish run --pu' to {said.stdout.strip()!r} {said.stderr.strip()}")


def main():
    squish, squishd, source = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    sys.path.insert(0, str(source / "completions"))
    import generate

    errors = []
    check_squish_page(generate, squish, (source / "docs/man/squish.1").read_text(), errors)
    if squishd:
        check_squishd_page(squishd, (source / "docs/man/squishd.8").read_text(), errors)
    check_completions(generate, squish, source / "completions", errors)
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(1 if errors else 0)


main()
