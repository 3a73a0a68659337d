#!/usr/bin/env python3
"""check-openapi.py YAML ROUTER_CPP: docs/openapi.yaml describes exactly the routes of the router's table, with their
query parameters.

The table is read from the source. The YAML is read by a few lines of our own, which know the one style that the file is
written in (two blanks a level, parameters in flow style), so that the test needs no package."""
import pathlib
import re
import sys

METHODS = {"get", "post", "put", "delete", "patch"}


def documented_routes(text):
    body = re.search(r"^paths:\n(.*?)^components:", text, re.M | re.S).group(1)
    shared = dict(re.findall(r"^    (\w+):\n      name: (\S+)\n      in: query", text, re.M))
    routes, path, route = {}, None, None
    for line in body.splitlines():
        if match := re.fullmatch(r"  (/\S+):", line):
            path, route = match[1], None
        elif match := re.fullmatch(r"    (\w+):", line):
            if match[1] in METHODS:
                route = (match[1].upper(), path)
                if route in routes:
                    sys.exit(f"{route} is described twice")
                routes[route] = set()
        if route and (match := re.search(r"\{name: (\w+), in: query", line)):
            routes[route].add(match[1])
        for name in re.findall(r"#/components/parameters/(\w+)", line):
            if route and name in shared:
                routes[route].add(shared[name])
    return routes


def served_routes(text):
    routes = {}
    for method, path, query in re.findall(r'Route\{"(\w+)", "([^"]+)", \w+(?:, \{([^}]*)\})?\}', text):
        routes[(method, path)] = set(re.findall(r'"(\w+)"', query))
    return routes


def main():
    documented = documented_routes(pathlib.Path(sys.argv[1]).read_text())
    served = served_routes(pathlib.Path(sys.argv[2]).read_text())
    errors = [f"{method} {path}: served, but not described" for method, path in sorted(served.keys() - documented.keys())]
    errors += [f"{method} {path}: described, but not served" for method, path in sorted(documented.keys() - served.keys())]
    for route in sorted(documented.keys() & served.keys()):
        if documented[route] != served[route]:
            errors.append(f"{' '.join(route)}: described with {sorted(documented[route])}, served with {sorted(served[route])}")
    if len(served) < 10:
        errors.append(f"only {len(served)} routes were found in {sys.argv[2]}")
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(1 if errors else 0)


main()
