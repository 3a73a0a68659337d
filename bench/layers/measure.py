"""measure.py: the figures of bench/layers.sh, which prepares the surroundings and calls this.

Contestants take turns, one each per round, so that whatever the machine does meanwhile befalls all of them. Each is timed
from the outside, as whole processes. Before each arrival everything written so far is on disk, and the archive is in the
page cache.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

DECIMALS = 6


def timed(command, **how):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **how)
    return time.perf_counter() - begin


def make_archive(folder, files, megabytes):
    """A tree as packages are: many small files, some large ones, half of the bytes compressible."""
    chance = random.Random(1)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz_", k=chance.randint(3, 12))) for _ in range(4096)]
    sizes = [chance.paretovariate(1.3) for _ in range(files)]
    scale = megabytes * 1e6 / sum(sizes)
    for number, size in enumerate(sizes):
        place = os.path.join(folder, "tree", f"d{number // 100:03}")
        os.makedirs(place, exist_ok=True)
        wanted = int(size * scale)
        text = b" ".join(chance.choices(words, k=wanted // 16 + 1))
        with open(os.path.join(place, f"file{number:05}"), "wb") as out:
            out.write((text[: wanted // 2] + chance.randbytes(wanted))[:wanted])
    path = os.path.join(folder, "web", "layer.tar.zst")
    os.makedirs(os.path.dirname(path))
    subprocess.run(
        f"tar -C {folder}/tree --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - . | zstd -q -T0 -o {path}",
        shell=True, check=True)
    shutil.rmtree(os.path.join(folder, "tree"))
    with open(path, "rb") as archive:
        digest = hashlib.file_digest(archive, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(archive.read()).hexdigest()
    return path, digest


def arrivals(options, squish, url, digest):
    plain = os.path.join(options.work, "plain")
    pipe = f"curl -fsS {url} | zstd -dq | tar -C {plain} -x"

    def by_pipe(command):
        os.mkdir(plain)
        try:
            return timed(["bash", "-o", "pipefail", "-c", command])
        finally:
            subprocess.run(["rm", "-rf", plain], check=True)

    def by_squish():
        taken = timed([squish, "layer", "import", "--sha256", digest, url], stderr=subprocess.DEVNULL)
        subprocess.run([squish, "layer", "rm", digest], check=True, stdout=subprocess.DEVNULL)
        return taken

    contestants = {
        "curl": lambda: timed(["curl", "-fsS", "-o", "/dev/null", url]),
        "curl | zstd -d | tar x": lambda: by_pipe(pipe),
        "curl | zstd -d | tar x; sync": lambda: by_pipe(f"{pipe} && sync -f {plain}"),
        "squish layer import": by_squish,
    }
    times = {name: [] for name in contestants}
    for round_ in range(options.rounds + 1):  # the first is to warm up
        for name, run in contestants.items():
            os.sync()
            taken = run()
            if round_:
                times[name].append(taken)
    return times


def starts(options, squish):
    layers = []
    for number in range(options.layers):
        tree = os.path.join(options.work, "small", f"bench{number}")
        os.makedirs(os.path.join(tree, "bin"))
        with open(os.path.join(tree, "bin", f"tool{number}"), "w") as tool:
            tool.write("#!/bin/sh\n")
        subprocess.run([squish, "layer", "import", "--name", f"bench{number}", "--version", "1.0.0", tree], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        layers.append(f'bench{number} = "1"\n')
    contestants = {}
    for name, lines in (("start", ""), (f"start, {options.layers} layers", "".join(layers))):
        path = os.path.join(options.work, f"{len(contestants)}.toml")
        with open(path, "w") as out:
            out.write(f'[layers]\n{lines}[run]\ncommand = "/bin/true"\n')
        contestants[name] = [squish, "run", "--rm", path]
    times = {name: [] for name in contestants}
    for round_ in range(options.starts + 5):
        for name, command in contestants.items():
            taken = timed(command, stdin=subprocess.DEVNULL)
            if round_ >= 5:
                times[name].append(taken)
            time.sleep(0.01)  # its clean-up does not fall into the next one's time
    return times


def row(times):
    return {"median": round(statistics.median(times), DECIMALS), "least": round(min(times), DECIMALS),
            "most": round(max(times), DECIMALS), "rounds": len(times)}


def main():
    parser = argparse.ArgumentParser()
    for name in ("prefix", "work", "json"):
        parser.add_argument("--" + name, required=True)
    for name, default in (("rounds", 5), ("starts", 50), ("layers", 16), ("megabytes", 200), ("files", 20000)):
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    squish = os.path.join(options.prefix, "bin", "squish")
    archive, digest = make_archive(options.work, options.files, options.megabytes)
    web = subprocess.Popen([os.path.join(options.prefix, "bin", "testweb"), os.path.dirname(archive)],
                           stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{web.stdout.readline().strip()}/{os.path.basename(archive)}"
        arrived = arrivals(options, squish, url, digest)
    finally:
        web.terminate()
        web.wait()
    started = starts(options, squish)
    figures = {name: row(times) for name, times in {**arrived, **started}.items()}
    # Of each round on its own, so that what befell a round befalls both sides of its ratio.
    ratio = {name: statistics.median(a / b for a, b in zip(arrived["squish layer import"], arrived[name]))
             for name in arrived if "tar" in name}
    plain, with_layers = (statistics.median(times) for times in started.values())
    per_layer = (with_layers - plain) / options.layers
    print(f"{os.path.getsize(archive) / 1e6:.0f} MB, {options.files} files of {options.megabytes} MB; "
          f"load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':32} {'median':>10} {'least':>10} {'most':>10}")
    for name, one in figures.items():
        print(f"{name:32} {one['median'] * 1e3:7.1f} ms {one['least'] * 1e3:7.1f} ms {one['most'] * 1e3:7.1f} ms")
    print()
    for name, value in ratio.items():
        print(f"squish / ({name}): {value:.2f}")
    print(f"a stored layer adds {per_layer * 1e3:.3f} ms to a start")
    with open(options.json, "w") as out:
        json.dump({"archive_bytes": os.path.getsize(archive), "files": options.files, "bytes": options.megabytes * 10**6,
                   "load": os.getloadavg()[0], "seconds": figures, "ratio": ratio,
                   "seconds_per_layer": per_layer}, out, indent=2)
        out.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
