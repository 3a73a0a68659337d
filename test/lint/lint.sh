#!/bin/bash
# lint.sh [--report] [CHECK…]: what can be read off the sources: includes format tidy shell man.
# shellcheck disable=SC2317 # the checks are called by name
# With --report, stdout gets "CHECK ok|FAILED|skipped" lines and nothing else; the findings always go to stderr.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
report=no
if [ "${1-}" = --report ]; then
    report=yes
    shift
fi
readonly SKIPPED=77

sources() { # FOLDER…: our C++ files
    find "$@" \( -name '*.cpp' -o -name '*.h' \) -type f 2>/dev/null | sort
}

check_includes() { /usr/bin/python3 test/lint/check_includes.py src; }

check_format() {
    command -v clang-format-19 >/dev/null || return "$SKIPPED"
    sources src test examples bench | xargs -r clang-format-19 --dry-run -Werror
}

# Whole files with all their headers take seconds each: nothing is done where nothing changed since all was well.
check_tidy() {
    command -v clang-tidy-19 >/dev/null && command -v run-clang-tidy-19 >/dev/null || return "$SKIPPED"
    [ -e build/release/compile_commands.json ] || cmake --preset release >/dev/null || return 1
    local stamp=build/release/tidy.stamp digest log
    digest=$({ cat .clang-tidy && sources src | xargs -r cat && cat build/release/compile_commands.json; } | sha256sum)
    [ "$digest" != "$(cat "$stamp" 2>/dev/null)" ] || return 0
    log=$(mktemp)
    # The compiler's own warnings are GCC's to make errors of; its precompiled headers mean nothing to clang.
    if run-clang-tidy-19 -quiet -j "$(nproc)" -p build/release -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-error \
        "^$PWD/src/.*\.cpp\$" >"$log" 2>&1; then
        printf '%s\n' "$digest" >"$stamp"
        rm -f "$log"
    else
        grep -vE '^\[|^clang-tidy-19 |warnings generated|^Suppressed|^Use -header-filter' "$log"
        rm -f "$log"
        return 1
    fi
}

check_shell() {
    local files file status=0
    mapfile -t files < <(find setup.sh scripts test bench .ci -type f -print0 2>/dev/null |
        xargs -0 -r grep -lE '^#!/bin/(ba)?sh|^# shellcheck shell=|^#!/usr/bin/env (bash|sh)' | sort)
    for file in "${files[@]}"; do
        if head -1 "$file" | grep -q '/bin/sh$'; then sh -n "$file" || status=1; else bash -n "$file" || status=1; fi
    done
    if command -v shellcheck >/dev/null; then
        shellcheck -x -S warning "${files[@]}" || status=1
    fi
    return "$status"
}

check_man() {
    compgen -G 'docs/man/*.[158]' >/dev/null || return "$SKIPPED"
    command -v mandoc >/dev/null || return "$SKIPPED"
    mandoc -T lint -W warning docs/man/*.[158]
}

checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(includes format tidy shell man)
status=0
for check in "${checks[@]}"; do
    declare -F "check_$check" >/dev/null || {
        echo "lint: no check '$check'" >&2
        exit 2
    }
    "check_$check" >&2
    case $? in
        0) verdict=ok ;;
        "$SKIPPED") verdict=skipped ;;
        *) verdict=FAILED status=1 ;;
    esac
    if [ $report = yes ]; then printf 'lint.%s %s\n' "$check" "$verdict"; else printf '%-12s %s\n' "$check" "$verdict"; fi
done
exit $status
