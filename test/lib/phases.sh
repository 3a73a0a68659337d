# shellcheck shell=bash
# The book-keeping of test/run.sh: what ran, for how long, and how many cases passed.

declare -a PHASE_ROWS=()
TOTAL_PASSED=0 TOTAL_FAILED=0
# What a phase reports before it ends; a phase that reports nothing counts as one case, by its exit status.
PASSED='' FAILED='' SKIPPED=''

# Adds to what this phase reports.
count() { # PASSED FAILED [SKIPPED]
    PASSED=$((${PASSED:-0} + $1)) FAILED=$((${FAILED:-0} + $2)) SKIPPED=$((${SKIPPED:-0} + ${3:-0}))
}

phase() { # NAME FUNCTION [ARGS…]
    local phase_name=$1 start end status=0
    shift
    printf '\n=== %s\n' "$phase_name"
    PASSED='' FAILED='' SKIPPED=''
    start=$(now_ms)
    "$@" || status=$?
    end=$(now_ms)
    if [ -z "$PASSED$FAILED" ]; then
        if [ "$status" -eq 0 ]; then count 1 0; else count 0 1; fi
    elif [ "$status" -ne 0 ] && [ "$FAILED" -eq 0 ]; then
        count 0 1 # it ended badly for another reason than its cases
    fi
    # Where every test must run, one that did not is a failure.
    if [ -n "${SQUISH_TESTS_MUST_RUN-}" ] && [ "$SKIPPED" -gt 0 ]; then
        printf '%s: %s skipped, which counts as failed here (SQUISH_TESTS_MUST_RUN)\n' "$phase_name" "$SKIPPED" >&2
        FAILED=$((FAILED + SKIPPED)) SKIPPED=0
    fi
    TOTAL_PASSED=$((TOTAL_PASSED + PASSED)) TOTAL_FAILED=$((TOTAL_FAILED + FAILED))
    PHASE_ROWS+=("$(printf '%-22s %7d %7d %7d %8d.%01d s' "$phase_name" "$PASSED" "$FAILED" "$SKIPPED" \
        $(((end - start) / 1000)) $(((end - start) % 1000 / 100)))")
    [ "$FAILED" -eq 0 ]
}

summary() {
    printf '\n%-22s %7s %7s %7s %12s\n' phase passed failed skipped time
    printf '%s\n' "${PHASE_ROWS[@]}"
    printf '\n%d passed, %d failed\n' "$TOTAL_PASSED" "$TOTAL_FAILED"
    [ "$TOTAL_FAILED" -eq 0 ] && [ "$TOTAL_PASSED" -gt 0 ]
}

# "PASSED FAILED SKIPPED" of a report in JUnit's XML, as ctest writes it.
read_junit() { # FILE
    /usr/bin/python3 - "$1" <<'END'
import sys, xml.etree.ElementTree as tree
cases = list(tree.parse(sys.argv[1]).getroot().iter("testcase"))
failed = sum(c.get("status") == "fail" or c.find("failure") is not None for c in cases)
skipped = sum(c.get("status") in ("notrun", "disabled") or c.find("skipped") is not None for c in cases)
print(len(cases) - failed - skipped, failed, skipped)
END
}

# "PASSED FAILED SKIPPED" of a TAP report; what was planned and never reported has failed.
read_tap() { # FILE
    awk '/^1\.\.[0-9]+/ { split($1, plan, /\.\./); planned = plan[2] }
         /^ok .*# skip/ { skipped++; next } /^ok / { passed++ } /^not ok / { failed++ }
         END { lost = planned - passed - failed - skipped; if (lost > 0) failed += lost
               print passed + 0, failed + 0, skipped + 0 }' "$1"
}
