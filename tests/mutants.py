"""Break one line of the package at a time, and see whether a test notices: `make mutants`.

General mutation tools change a loaded module. Here most formulas are compiled by numba, together
with their callers and with a cache between processes, so a change in memory would never be seen:
each mutation is written into a copy of the package, and pytest runs there from the start.

Every mutation is one that a person makes: a sign, a factor of two, two layers swapped, one too
many, a term forgotten, another power, a mean for a median, degrees for radians. The fast tests of
the folder that was changed must fail. Their compiled loops are kept for folders that are the same.

Usage: python tests/mutants.py [--jobs N] [--list] [FOLDER or WORD ...]

FOLDER or WORD choose mutations: "network", "simulation/stations.py" or any part of a description.
The table goes to standard output, progress to standard error; the exit status is 1 where one
survived, 2 where the list no longer fits the package.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: Tests that a mutation of a folder must not survive, the quickest first.
TESTS = {
    "physics": ["tests/physics", "tests/events"],
    "events": ["tests/events", "tests/physics"],
    "simulation": ["tests/simulation"],
    "reconstruction": ["tests/reconstruction"],
    "network": ["tests/network"],
}
#: A run that takes longer than this [s] hangs: it counts as killed.
LONGEST = 1200


class Mutation(NamedTuple):
    """One change of one line: `old`, found exactly once below `folder`, becomes `new`."""

    folder: str
    old: str
    new: str
    what: str


M = Mutation
MUTATIONS = (
    # What everything stands on.
    M("physics", "-(n_x * dx + n_y * dy + n_z * dz)", "(n_x * dx + n_y * dy + n_z * dz)", "sign of the distance downstream"),
    M("physics", "sin_zenith * np.cos(azimuth), sin_zenith * np.sin(azimuth)", "sin_zenith * np.sin(azimuth), sin_zenith * np.cos(azimuth)", "azimuth from north"),
    M("physics", "c_y = dz * n_x - dx * n_z", "c_y = dz * n_x + dx * n_z", "sign in the distance to the axis"),
    M("physics", "SPEED_OF_LIGHT = 0.299792458", "SPEED_OF_LIGHT = 0.3", "rounded speed of light"),
    M("physics", "_INNER_SLOPE = 1.2", "_INNER_SLOPE = 1.3", "another inner slope in the derivative"),
    M("physics", "_OUTER_SLOPE = 0.6", "_OUTER_SLOPE = 1.2", "outer slope doubled"),
    M("physics", "SLOPE_BY_SECANT = -1.79", "SLOPE_BY_SECANT = 1.79", "sign of the slope's zenith dependence"),
    M("physics", "3.97 + SLOPE_BY_SECANT * (secant - 1.0)", "3.97 + SLOPE_BY_SECANT * secant", "sec z for sec z - 1"),
    M("physics", "return y * np.sqrt(y)\n", "return y * y\n", "another power of the thickness"),
    M("physics", "np.exp(-front.density_power * log_ldf)", "np.exp(front.density_power * log_ldf)", "sign of the front's density power"),
    M("physics", "front.power / (front.distance + r)", "front.power / front.distance", "a term dropped in the front's derivative"),
    M("physics", "z = np.degrees(np.asarray(zenith, dtype=float))", "z = np.asarray(zenith, dtype=float)", "radians for degrees in the curvature"),
    M("physics", "location + scale * (np.log(shape) - digamma(shape))", "location - scale * (np.log(shape) - digamma(shape))", "sign in the mean Xmax"),
    M("physics", "2.0 * np.arctan2(difference, total)", "np.arctan2(difference, total)", "half the opening angle"),
    M("physics", "outer = 2.0 * _OUTER_SLOPE * r", "outer = _OUTER_SLOPE * r", "factor of two in the lateral's derivative"),
    M("physics", "0.5 * (t * t * (3.0 * t - 5.0) + 2.0)", "0.5 * (t * t * (3.0 * t - 4.0) + 2.0)", "a weight of the cubic interpolation"),
    M("events", "return -outside.max(axis=-1)", "return outside.max(axis=-1)", "sign of the distance to the border"),
    M("events", "if abs(heading) > 5e-3 else 0.0", "if abs(heading) > 5e-1 else 0.0", "small headings forgotten"),
    # Simulation.
    M("simulation", "LATE_ATTENUATION_ELECTRONS = 175.0", "LATE_ATTENUATION_ELECTRONS = 350.0", "electromagnetic attenuation doubled"),
    M("simulation", "LATE_ATTENUATION_MUONS = 1000.0", "LATE_ATTENUATION_MUONS = 2000.0", "muon attenuation doubled"),
    M("simulation", "        front.local\n        * width", "        0.0\n        * width", "no local fluctuation of the front"),
    M("simulation", "LOCAL_POWER = -0.3", "LOCAL_POWER = 0.3", "sign of the local fluctuation's power"),
    M("simulation", "LATE_POWER = 1.05", "LATE_POWER = 2.1", "power of the late time factor doubled"),
    M("simulation", "odds = share / (1.0 - share) * np.sqrt(r / 800.0)", "odds = share / (1.0 - share) * (r / 800.0)", "power of the muon share"),
    M("simulation", "return signal * share * zenith_cosine / MUON_MEAN_LOSS", "return signal * share / MUON_MEAN_LOSS", "number of muons without cos z"),
    M("simulation", "np.exp(-along * AIR_DENSITY / attenuation) / bessel", "np.exp(along * AIR_DENSITY / attenuation) / bessel", "late side brighter"),
    M("simulation", "ELECTRON_LOSS * (1.0 + ELECTRON_BOTH_LAYERS) / 2.0", "ELECTRON_LOSS * (1.0 + ELECTRON_BOTH_LAYERS)", "mean electromagnetic loss doubled"),
    M("simulation", "math.sqrt(ONSET_S800 / shower.s800)", "math.sqrt(shower.s800 / ONSET_S800)", "onset grows with the size"),
    M("simulation", "np.sqrt(ONSET_S800 / s800)", "(ONSET_S800 / s800)", "power of the onset in the true curvature"),
    M("simulation", "LEVEL_0_BINS = 8", "LEVEL_0_BINS = 9", "one bin too many in level 0"),
    M("simulation", "upper > threshold_upper and lower > threshold_lower", "upper > threshold_upper or lower > threshold_lower", "one layer is enough for level 0"),
    M("simulation", "> LEVEL_2_COINCIDENCE:", "> 2.0 * LEVEL_2_COINCIDENCE:", "twice the coincidence"),
    M("simulation", "waveform[i, 1] = second_layer[i]", "waveform[i, 1] = first_layer[i]", "upper layer written twice"),
    M("simulation", "hit * conditions.bin_width", "(hit + 1) * conditions.bin_width", "window one bin late"),
    M("simulation", "np.arcsin(np.sqrt(u[:, 1]) * np.sin(", "np.arcsin(u[:, 1] * np.sin(", "other distribution of the zenith"),
    M("simulation", "core_x=(2.0 * v[:, 0] - 1.0) * half_x", "core_x=v[:, 0] * half_x", "cores in one half of the array"),
    M("simulation", "power = 1.0 - showers.spectral_index", "power = -showers.spectral_index", "integral index for differential"),
    M("simulation", "- 0.5 * width**2)", "+ 0.5 * width**2)", "mean of a log-normal on the wrong side"),
    M("simulation", "SLOPE_PER_DEPTH * deviation", "-SLOPE_PER_DEPTH * deviation", "deep showers are flat"),
    M("simulation", "deviation / CURVATURE_DEPTH_SCALE", "-deviation / CURVATURE_DEPTH_SCALE", "deep showers are little curved"),
    M("simulation", "+ _LOSS_WIDTH * quick(MOYAL_TABLE, bits, 2)", "+ _LOSS_WIDTH * quick(MOYAL_TABLE, bits, 0)", "both layers share a muon's loss"),
    M("simulation", "t = s1 << np.uint64(17)", "t = s1 << np.uint64(18)", "another shift in the generator"),
    M("simulation", "x ^= z << np.uint64(1)", "x ^= z", "another seeding"),
    # Reconstruction.
    M("reconstruction", "residual = trial.t0 - q / SPEED_OF_LIGHT", "residual = trial.t0 + q / SPEED_OF_LIGHT", "sign of the plane's delay in the fit"),
    M("reconstruction", "t_by_nx = -q_by_nx / SPEED_OF_LIGHT + d_by_r * r_by_nx + d_by_l * l_by_nx", "t_by_nx = -q_by_nx / SPEED_OF_LIGHT + d_by_r * r_by_nx", "a term dropped in a derivative"),
    M("reconstruction", "d_by_l = delay * log_delay_derivative(r, front), -front.density_power * delay", "d_by_l = delay * log_delay_derivative(r, front), front.density_power * delay", "sign of a derivative by the density"),
    M("reconstruction", "terms += 2.0 * (pull", "terms += 1.0 * (pull", "factor of two of the Poisson deviance"),
    M("reconstruction", "l_by_r * r_by_nx + l_by_eta * trial.eta_by_nz * nz_by_nx", "l_by_r * r_by_nx", "slope does not follow the zenith in a derivative"),
    M("reconstruction", "-SLOPE_BY_SECANT / (n_z * n_z)", "-SLOPE_BY_SECANT / n_z", "power in the slope's derivative"),
    M("reconstruction", "POISSON_DENSITY = 4.0", "POISSON_DENSITY = 40.0", "Poisson likelihood up to ten times the density"),
    M("reconstruction", "SMALLEST_SIGNAL = 1.4", "SMALLEST_SIGNAL = 2.8", "smallest signal doubled"),
    M("reconstruction", "spread * (errors.b0 + x", "-spread * (errors.b0 + x", "sign of the time shift"),
    M("reconstruction", "(1.0 + x) * np.exp(-x)", "np.exp(-x)", "a term dropped in the contained part"),
    M("reconstruction", "errors.signal_poisson * density / area + (", "errors.signal_poisson * density + (", "signal error without the area"),
    M("reconstruction", "return errors.time_floor**2 + spread * spread", "return errors.time_floor + spread * spread", "floor of the time error not squared"),
    M("reconstruction", "np.arctan2(n_y, n_x) % (2.0 * np.pi)", "np.arctan2(n_x, n_y) % (2.0 * np.pi)", "azimuth from north in the result"),
    M("reconstruction", "-n_y / safe**2, n_x / safe**2", "n_y / safe**2, n_x / safe**2", "sign in the covariance of the azimuth"),
    M("reconstruction", "jacobian[:, 4, 4] = s800", "jacobian[:, 4, 4] = 1.0", "error of ln S800 for that of S800"),
    M("reconstruction", "p[:, 1] -= shift * np.sin(p[:, 3])", "p[:, 1] += shift * np.sin(p[:, 3])", "sign of the core's bias"),
    M("reconstruction", "np.sin(p[:, 2]) ** 2 * covariance[:, 3, 3]", "covariance[:, 3, 3]", "pointing error without sin z"),
    M("reconstruction", "row[5] += origin", "row[5] += 0.0", "origin of the times forgotten in the plane"),
    M("reconstruction", "p[i, 5] += origin", "p[i, 5] += 0.0", "origin of the times forgotten in the fit"),
    M("reconstruction", "observed.time[i] + n_z * observed.z[i] / SPEED_OF_LIGHT", "observed.time[i] - n_z * observed.z[i] / SPEED_OF_LIGHT", "sign of the altitude in the plane front"),
    M("reconstruction", "weight = math.sqrt(max(observed.density[i], 0.1))", "weight = 1.0", "centre of gravity without weights"),
    M("reconstruction", "(edges / n_edges - EDGE_DELAY)", "(edges / n_edges + EDGE_DELAY)", "sign of the edge's delay"),
    M("reconstruction", "return k - 0.5 + (threshold - below) / (above - below)", "return k + (threshold - below) / (above - below)", "half a bin in the leading edge"),
    M("reconstruction", "ratio += total / highest * bin_width", "ratio += total / highest", "area over peak in bins"),
    M("reconstruction", "upper, lower = layers[:, 0], layers[:, -1]", "upper, lower = layers[:, -1], layers[:, 0]", "layers swapped in the features"),
    M("reconstruction", "(r / S_B_DISTANCE) ** 3)", "(r / S_B_DISTANCE) ** 4)", "power of S_b"),
    # What the network sees.
    M("network", "np.clip((time - plane[at]) / 1000.0", "np.clip((plane[at] - time) / 1000.0", "sign of plane_time"),
    M("network", "(time - front[at]) / 100.0", "(front[at] - time) / 100.0", "sign of front_residual"),
    M("network", "np.exp(log_ldf) * array.detector.area", "np.exp(log_ldf)", "log_expected without the area"),
    M("network", "in_lattice_frame(correction[:, 0], correction[:, 1], -heading)", "in_lattice_frame(correction[:, 0], correction[:, 1], heading)", "direction turned the wrong way"),
    M("network", "in_lattice_frame(correction[:, 2], correction[:, 3], -heading)", "in_lattice_frame(correction[:, 2], correction[:, 3], heading)", "core turned the wrong way"),
    M("network", "return c * x + s * y, c * y - s * x", "return c * x - s * y, c * y + s * x", "frame of the lattice turned the wrong way"),
    M("network", "np.log1p(signal[:, 0])", "np.log1p(signal[:, -1])", "layers swapped in the tile"),
    M("network", "signal.mean(axis=1)) / (1.0 + expected[at])", "signal.sum(axis=1)) / (1.0 + expected[at])", "sum for mean of the layers"),
    M("network", "(events.hit_time[chosen] - front[at]) / 1000.0", "(events.hit_time[chosen] - plane[at]) / 1000.0", "window after the plane front"),
    M("network", "(0.01 * delay[at] + 0.2)", "(0.01 * delay[at] + 2.0)", "another floor of relative_residual"),
    M("network", '"z": dz / 100.0', '"z": dz / 1000.0', "altitude in kilometres"),
    M("network", '"distance": r / array.spacing', '"distance": np.hypot(dx, dy) / array.spacing', "distance on the ground"),
    M("network", "fit.core_y) - (n - 1) / 2)", "fit.core_y) - n / 2)", "tile half a cell off"),
    M("network", "10.0 ** correction[:, 4]", "np.exp(correction[:, 4])", "natural for decimal logarithm"),
    M("network", "direction(truth.zenith, truth.azimuth) - direction(fit.zenith, fit.azimuth)", "direction(fit.zenith, fit.azimuth) - direction(truth.zenith, truth.azimuth)", "sign of the targets"),
    M("network", "return total / len(orientations)", "return total", "sum for mean over the orientations"),
    M("network", "target_of = np.argsort(source)", "target_of = source", "waveforms in the wrong cell of a turned tile"),
    M("network", "cells = cells[::-1]", "cells = cells[::1]", "a mirror forgotten"),
    M("network", "sample.event_features[::every], [0.25, 0.5, 0.75], axis=0", "sample.event_features[::every], [0.25, 0.25, 0.75], axis=0", "quartile for median"),
    M("network", "np.log1p(np.maximum(vem, -0.5))", "np.maximum(vem, -0.5)", "waveforms not compressed"),
)  # fmt: skip


def place(mutation: Mutation, package: Path) -> Path:
    """The file of the package that holds `old`.

    Raises
    ------
    SystemExit : with status 2, where it is not there exactly once.
    """
    files = sorted((package / mutation.folder).rglob("*.py"))
    counts = {path: path.read_text().count(mutation.old) for path in files}
    if sum(counts.values()) != 1:
        where = ", ".join(f"{p.relative_to(package)} ({n})" for p, n in counts.items() if n)
        sys.stderr.write(
            f"mutants: {mutation.what}: the text is to be found exactly once in "
            f"tashower/{mutation.folder}, and is in: {where or 'no file'}\n    {mutation.old}\n"
        )
        raise SystemExit(2)
    return max(counts, key=counts.get)


def copy_of_the_repository(folder: Path) -> Path:
    """Copy what git knows, and new files that it does not ignore."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def tests_pass(copy: Path, folder: str) -> tuple[bool, str]:
    """(every test passed, last words) of the tests of a folder, in the copy."""
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(copy / ".cache"),
        "OMP_NUM_THREADS": "1",
    }
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    words += [path for path in TESTS[folder] if (copy / path).exists()]
    with tempfile.TemporaryFile("w+") as output:
        run = subprocess.Popen(
            words, cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = run.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            return False, f"not done after {LONGEST} s"
        output.seek(0)
        text = output.read()
    failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if status not in (0, 1) and not failed:
        raise RuntimeError(f"pytest could not run ({status}):\n{text[-2000:]}")
    return status == 0, failed[0] if failed else text.strip().splitlines()[-1]


def survives(mutation: Mutation, copy: Path) -> tuple[bool, str]:
    """(no test noticed, what pytest said) with the mutation in the copy, which is put back."""
    path = place(mutation, copy / "tashower")
    text, stat = path.read_text(), path.stat()
    try:
        path.write_text(text.replace(mutation.old, mutation.new))
        return tests_pass(copy, mutation.folder)
    finally:
        path.write_text(text)
        # The cache of compiled loops goes by the time of the file.
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def table(found: list[tuple[Mutation, Path, bool, str]], seconds: float) -> str:
    """The result in Markdown."""

    def git(*words):
        return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True).stdout

    commit = git("rev-parse", "--short", "HEAD").strip() or "unknown"
    if git("status", "--porcelain").strip():
        commit += " and changes"
    lines = [
        "# Mutations of the package, and which of them the fast tests notice",
        "",
        f"`make mutants` on {time.strftime('%Y-%m-%d')}, commit {commit}: {len(found)} mutations "
        f"in {seconds / 60:.0f} minutes. Each is one line of `tests/mutants.py`, applied alone; "
        "killed: a fast test of the folder fails.",
        "",
        "| folder | mutations | killed | rate |",
        "|---|---|---|---|",
    ]
    for folder in [*TESTS, "all"]:
        alive = [s for m, _, s, _ in found if folder in (m.folder, "all")]
        if alive:
            killed = alive.count(False)
            share = f"{100 * killed / len(alive):.0f} %"
            lines.append(f"| {folder} | {len(alive)} | {killed} | {share} |")
    lines += ["", "| file | mutation | result | noticed by |", "|---|---|---|---|"]
    for mutation, path, alive, words in found:
        by = "" if alive else words.split(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ")
        result = "**survived**" if alive else "killed"
        test = by.split("::")[-1].split("[")[0]
        file = by.split("::")[0].removeprefix("tests/")
        lines.append(f"| {path} | {mutation.what} | {result} | {file} {test} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the mutations that are chosen; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chosen", nargs="*", help="folder, file, or part of a description")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="say which, and run nothing")
    arguments = parser.parse_args()
    package, begin = ROOT / "tashower", time.monotonic()
    every = [(m, place(m, package).relative_to(package)) for m in MUTATIONS]
    chosen = [
        (m, path)
        for m, path in every
        if not arguments.chosen
        or any(w.strip("/") == m.folder or w in f"{path} {m.what}" for w in arguments.chosen)
    ]
    if not chosen:
        parser.error(f"no mutation of {' or '.join(arguments.chosen)}")
    if arguments.list:
        for mutation, path in chosen:
            print(f"{path}: {mutation.what}")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        copies = Queue()
        for i in range(min(arguments.jobs, len(chosen))):
            copies.put(copy_of_the_repository(Path(scratch) / f"copy{i}"))

        def check(folder):
            """The tests must pass where nothing is broken."""
            copy = copies.get()
            passed, words = tests_pass(copy, folder)
            copies.put(copy)
            if not passed:
                raise SystemExit(f"mutants: without a mutation, tests of {folder} fail: {words}")

        def one(item):
            mutation, path = item
            copy = copies.get()
            try:
                alive, words = survives(mutation, copy)
            finally:
                copies.put(copy)
            result = "SURVIVED" if alive else "killed"
            print(f"{result}: {path}: {mutation.what} ({words})", file=sys.stderr, flush=True)
            return mutation, path, alive, words

        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(check, dict.fromkeys(m.folder for m, _ in chosen)))
            found = list(pool.map(one, chosen))
    print(table(found, time.monotonic() - begin), end="")
    return 1 if any(alive for _, _, alive, _ in found) else 0


if __name__ == "__main__":
    sys.exit(main())
