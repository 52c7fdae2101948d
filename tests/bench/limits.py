# SPDX-License-Identifier: MIT
"""What Pillion alone costs, beside the limits that its design sets.

Every row compares with and without in one run, in interleaved pairs: the machine may be
noisy, both sides share the noise. Nothing here passes or fails.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import interpreters
import place
import recording
import stats

PROGRAMS = place.WORKLOADS / "programs.py"
SWITCHED = pathlib.Path(__file__).resolve().parent / "programs" / "switched.py"
HERE = place.HERE
FORMATS = ("folded", "svg", "pprof", "speedscope", "firefox", "pstats", "callgrind", "cpuprofile", "lines", "csv")


class Row:
    def __init__(self, name, value, unit, limit=None, detail=""):
        self.name, self.value, self.unit, self.limit, self.detail = name, value, unit, limit, detail


class Bench:
    def __init__(self, python, quick, directory):
        self.python, self.quick, self.directory = python, quick, pathlib.Path(directory)
        self.count = 0

    def output(self):
        self.count += 1
        return self.directory / ("%d.pillion" % self.count)

    def run(self, argv, prefix=(), env=None):
        result = HERE.run([*prefix, *argv], cwd=self.directory, env=env, timeout=600)
        assert result.returncode == 0, (argv, result.stderr)
        return result.stdout

    def recorded(self, *options):
        """What stands before a command to record it; and the profile."""
        path = self.output()
        return [HERE.pillion, "record", "-q", "-o", path, *options, "--"], path


# ---------------------------------------------------------------- slowdown

def turns(bench, program, hz, seconds):
    """Pairs of neighbouring turns of one process: [sampled wall, CPU, unsampled wall, CPU]."""
    prefix, path = bench.recorded("-F", hz, "--no-start")
    told = json.loads(bench.run([bench.python, SWITCHED, PROGRAMS, program,
                                 str(seconds)], prefix))
    cost = recording.load(path).processes[0]
    path.unlink()
    return told["pairs"], cost["handler_ns"] / max(1, cost["handler_calls"])


def row_slowdown(bench):
    """What sampling takes from the program, beside the same program in the same process, unsampled.
    Where the interval is wider than the figure, the machine is too noisy to tell."""
    programs = bench.run([bench.python, PROGRAMS, "--list"]).split()
    for hz, limit in ((100, 0.5), (1000, 1.5)):
        medians = []
        for program in programs:
            pairs, handler_ns = turns(bench, program, hz, 3 if bench.quick else 60)
            (wall, low, high), (cpu, cpu_low, cpu_high) = (
                [100 * (v - 1) for v in stats.bootstrap([p[i] / p[i + 2] for p in pairs])] for i in range(2))
            medians.append((wall, cpu))
            yield Row("slowdown %d Hz %s" % (hz, program), wall, "%", None,
                      "[%+.2f %+.2f]; CPU %+.2f %% [%+.2f %+.2f]; %d pairs of turns; handler %.1f us a call" % (
                          low, high, cpu, cpu_low, cpu_high, len(pairs), handler_ns / 1e3))
        wall, cpu = (statistics.median(m[i] for m in medians) for i in range(2))
        yield Row("slowdown %d Hz, median" % hz, wall, "%", limit, "CPU %+.2f %%, %d programs" % (cpu, len(medians)))


# -------------------------------------------------------------------- load

def spawn_seconds(argv, env):
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env)
    os.waitpid(pid, 0)
    return time.perf_counter() - start


def collectors():
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[1:3] == [b"collect", b"--inherit"]:
                yield path
        except OSError:
            pass


def added_seconds(argv, env, count, starts_collector=False):
    """Difference of the medians. The sides come in random order; where one leaves a collector
    behind, which still works when its program has ended, each starts on an idle machine."""
    plain = place.clean_environment()
    sides = [plain, dict(plain, **env)]
    seconds = [[], []]
    order = [0, 1] * count
    random.shuffle(order)
    for side in order:
        if starts_collector:
            while any(collectors()):
                time.sleep(0.01)
            spawn_seconds(argv, plain)
        seconds[side].append(spawn_seconds(argv, sides[side]))
    return statistics.median(seconds[1]) - statistics.median(seconds[0])


def row_load(bench):
    count = 200 if bench.quick else 1000
    env = {"LD_PRELOAD": HERE.library, "PILLION_OUTPUT": str(bench.directory / "load-%p.pillion")}
    added = added_seconds(["/bin/true"], env, count)
    yield Row("inert load, /bin/true", 1e6 * added, "us", 100)
    only = added_seconds(["/bin/true"], {"LD_PRELOAD": HERE.library}, count)
    yield Row("inert load, no variables", 1e6 * only, "us", 100)


def row_start(bench):
    """python -c pass, recorded by the environment alone: start, hello, sampling, exit."""
    count = 30 if bench.quick else 200
    env = HERE.preload(bench.directory / "start-%p.pillion")
    added = added_seconds([bench.python, "-c", "pass"], env, count, starts_collector=True)
    yield Row("python -c pass, environment only", 1e3 * added, "ms", 3)


# ------------------------------------------------------------------ memory

MANY_MODULES = """
import ctypes, glob, importlib, os, sys, sysconfig, time
for path in sorted(glob.glob(os.path.join(sysconfig.get_config_var("DESTSHARED") or "", "*.so"))):
    try:
        importlib.import_module(os.path.basename(path).split(".")[0])
    except Exception:
        pass
def modules():
    return len({l.split()[5] for l in open("/proc/self/maps") if " r-xp " in l and len(l.split()) > 5})
for path in sorted(glob.glob("/usr/lib/x86_64-linux-gnu/lib*.so.*")):
    if modules() >= 70:
        break
    try:
        ctypes.CDLL(path)
    except OSError:
        pass
end = time.monotonic() + 3
while time.monotonic() < end:
    sorted(range(1000), key=lambda x: -x)
rss = [l.split()[1] for l in open("/proc/self/smaps_rollup") if l.startswith("Rss")][0]
print(modules(), rss)
"""


def row_memory(bench):
    with_us, without, tables = [], [], []
    for _ in range(3 if bench.quick else 7):
        prefix, path = bench.recorded()
        count, rss = map(int, bench.run([bench.python, "-c", MANY_MODULES], prefix).split())
        with_us.append(rss)
        tables.append(sum(p["table_bytes"] for p in recording.load(path).processes))
        without.append(int(bench.run([bench.python, "-c", MANY_MODULES]).split()[1]))
    added = (statistics.median(with_us) - statistics.median(without)) / 1024
    yield Row("memory added, %d modules" % count, added, "MiB", 16,
              "unwind tables %.2f MiB" % (statistics.median(tables) / 2**20))


# --------------------------------------------------------------- collector

def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def row_collector(bench):
    """Share of a core in steady state, between the first second and the last."""
    seconds = 6 if bench.quick else 20
    prefix, path = bench.recorded()
    program = "import runpy, sys; sys.argv = ['programs', 'threads', '%d']; runpy.run_path(%r, run_name='__main__')" % (
        seconds * 18, str(PROGRAMS))
    process = HERE.popen([*prefix, bench.python, "-c", program], stdout=subprocess.DEVNULL)
    time.sleep(1)
    start, before = time.monotonic(), cpu_seconds(process.pid)
    time.sleep(seconds - 2)
    share = (cpu_seconds(process.pid) - before) / (time.monotonic() - start)
    process.wait(timeout=60)
    profile = recording.load(path)
    yield Row("collector CPU, 20 threads, 100 Hz", 100 * share, "%", 1)
    own = sum(p["sampler_cpu_ns"] for p in profile.processes)
    lived = profile.data["end_ns"] - profile.data["start_ns"]
    yield Row("sampling thread CPU, 20 threads", 100 * own / lived, "%")
    yield Row("collector memory", profile.data["collector_peak_rss"] / 2**20, "MiB")


def row_profile_size(bench):
    """A long run of a real program. Symbols are a fixed cost: samples are what grows."""
    seconds = 5 if bench.quick else 60
    prefix, path = bench.recorded("-F", "1000")
    program = "import runpy, sys, time\nend = time.monotonic() + %d\nwhile time.monotonic() < end:\n" \
              "  for name in ('json', 're', 'sqlite', 'threads'):\n" \
              "    sys.argv = ['programs', name]; runpy.run_path(%r, run_name='__main__')" % (seconds, str(PROGRAMS))
    bench.run([bench.python, "-c", program], prefix)
    data = recording.load(path).data
    yield Row("profile bytes a sample", data["file_size"] / data["sample_count"], "B", 16,
              "%d samples, %.1f KiB" % (data["sample_count"], data["file_size"] / 1024))


def time_and_peak(argv):
    """Seconds, and the most memory held. (ru_maxrss would count the parent's, from before exec.)"""
    peak, start = 0, time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        with open("/proc/%d/status" % process.pid) as f:
            peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
        time.sleep(0.002)
    assert process.returncode == 0, argv
    return time.perf_counter() - start, peak / 1024


def row_report(bench):
    million = bench.directory / "million.pillion"
    subprocess.run([str(HERE.build / "tests/unit/pillion_make_profile"), "-n", "1000000", str(million)], check=True)
    yield Row("profile bytes a sample, synthetic", million.stat().st_size / 1e6, "B", 16, "10^6 samples")
    exports = [("export %s" % form, ["export", "-f", form, "-o", "/dev/null"], 3) for form in FORMATS]
    for name, command, limit in [("report", ["report"], 2), *exports]:
        runs = [time_and_peak([HERE.pillion, *command, str(million)]) for _ in range(3)]
        yield Row("%s, 10^6 samples" % name, min(seconds for seconds, _ in runs), "s", limit)
        yield Row("%s, 10^6 samples, memory" % name, max(peak for _, peak in runs), "MiB", 300)


ROWS = {k[len("row_"):]: v for k, v in list(globals().items()) if k.startswith("row_")}


def default_python():
    return next((i for i in interpreters.supported() if i.minor == (3, 12) and not i.root),
                interpreters.supported()[0]).path


def measure(options, report):
    """Yields rows as dictionaries, for the table."""
    with tempfile.TemporaryDirectory(dir=str(place.WORK)) as directory:
        bench = Bench(default_python(), options.quick, directory)
        for name in [n for n in ROWS if not options.program or n in options.program]:
            report("limits: " + name)
            for row in ROWS[name](bench):
                yield vars(row)
