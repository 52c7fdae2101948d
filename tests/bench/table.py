# SPDX-License-Identifier: MIT
"""Results as Markdown and JSON, with all that is needed to judge and to repeat them."""
import datetime
import json
import os
import platform
import statistics
import subprocess

import measure
import place

DASH = "–"


def _first(path, start, default=""):
    try:
        with open(path) as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(start)), default)
    except OSError:
        return default


def _output(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()


def circumstances(options, command):
    """Machine, versions, date and commit."""
    dirty = _output("git", "-C", str(place.REPO), "status", "--porcelain", "--untracked-files=no")
    pip = {s.id: {k: v for k, v in s.versions().items()} for s in options.subjects}
    commit = _output("git", "-C", str(place.REPO), "rev-parse", "--short=12", "HEAD")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit + (" and changes" if dirty else ""),
        "command": command, "cpu": _first("/proc/cpuinfo", "model name", platform.machine()),
        "cores": os.cpu_count(), "kernel": platform.release(), "libc": " ".join(platform.libc_ver()),
        "memory_kib": _first("/proc/meminfo", "MemTotal"), "load_at_start": os.getloadavg()[0],
        "interpreters": {s.id: "CPython %d.%d.%d, %s" % (*s.interpreter.version, " ".join(sorted(s.interpreter.tags)))
                         for s in options.subjects},
        "packages": pip, "environment": measure.FIXED, "rate": options.rate}


def heading(about):
    wanted = ("py-spy", "austin-dist", "scalene", "memray", "pyinstrument", "yappi", "line_profiler", "line-profiler",
              "numpy", "pandas", "django")
    lines = ["%s, commit %s. %s, %d cores, Linux %s, %s. Load before: %.2f." % (
        about["date"], about["commit"], about["cpu"], about["cores"], about["kernel"], about["libc"],
        about["load_at_start"]), ""]
    for key, text in about["interpreters"].items():
        packages = ", ".join("%s %s" % (n, about["packages"][key][n]) for n in wanted if n in about["packages"][key])
        lines.append("* `%s`: %s; %s" % (key, text, packages))
    lines += ["* Asked rate: %d Hz. On all sides: %s." % (
        about["rate"], ", ".join("`%s=%s`" % item for item in about["environment"].items())),
        "* `%s`" % about["command"], ""]
    return lines


def interval(row, field, form):
    if row.get(field) is None:
        return DASH
    text = form % row[field]
    if row.get(field + "_low") is None:
        return text
    return "%s [%s, %s]" % (text, form % row[field + "_low"], form % row[field + "_high"])


def number(value, form="%.0f"):
    return DASH if value is None else form % value


def lines_of(columns, rows):
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join("---" if i == 0 else "---:" for i in range(len(columns))) + "|"
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups.items()


# ---------------------------------------------------------------- overhead

OVERHEAD = ["profiler", "CPU ×", "wall ×", "profiler CPU s", "profiler RSS MiB", "RSS added MiB", "start CPU s",
            "written KiB", "samples asked", "got", "lost", "it says"]


def overhead_line(row):
    if "message" in row:
        return [row["peer"], "cannot run: " + row["message"], *[""] * (len(OVERHEAD) - 2)]
    return [row["peer"], interval(row, "cpu", "%.3f"), interval(row, "wall", "%.3f"),
            number(row["profiler_cpu"], "%.3f"), number(row["profiler_rss"], "%.1f"), number(row["rss_added"], "%.1f"),
            number(row["start_cpu"], "%.3f"), number(row["written"], "%.1f"), number(row["asked"]),
            number(row["got"]), number(row["lost"]), row["says"]]


def overhead_summary(rows):
    """Over all programs that the peer ran."""
    for (interpreter, peer), group in grouped(rows, lambda r: (r["interpreter"], r["peer"])):
        ran = [r for r in group if "message" not in r]
        medians = ["%.3f" % statistics.median(r[f] for r in ran) if ran else DASH for f in ("cpu", "wall")]
        worst = max(ran, key=lambda r: r["cpu"], default=None)
        yield [interpreter, peer, *medians, "%.3f (%s)" % (worst["cpu"], worst["program"]) if worst else DASH,
               "%d of %d" % (len(ran), len(group))]


def overhead(rows):
    yield "## Overhead: all programs"
    yield ""
    yield from lines_of(["interpreter", "profiler", "median CPU ×", "median wall ×", "worst CPU ×", "programs run"],
                        overhead_summary(rows))
    for (interpreter, program), group in grouped(rows, lambda r: (r["interpreter"], r["program"])):
        alone = [r["alone_cpu"] for r in group if "message" not in r]
        yield "## Overhead: %s, %s (%s s of CPU alone)" % (program, interpreter,
                                                           "%.2f" % statistics.median(alone) if alone else "?")
        yield ""
        yield from lines_of(OVERHEAD, map(overhead_line, group))


# ---------------------------------------------------------------- accuracy

ACCURACY = ["profiler", "distance %", "interval", "noise % (95 %)", "one run %", "samples", "slope", "lost %",
            "impossible", "unplaced %", "it says"]


def percent(value, form="%.2f"):
    return DASH if value is None else form % (100 * value)


def accuracy_line(row):
    if "message" in row:
        return [row["peer"], "cannot run: " + row["message"], *[""] * (len(ACCURACY) - 2)]
    name = row["peer"] + (" (wall clock)" if row["wall_instead"] else "")
    noise = "%s (%s)" % (percent(row["noise"]), percent(row["noise_high"])) if "noise" in row else DASH
    return [name, percent(row["distance"]), "[%s, %s]" % (percent(row["low"]), percent(row["high"])), noise,
            percent(row["distance_one_run"]), number(row.get("samples")), number(row.get("slope"), "%.2f"),
            percent(row.get("lost_share")), "%d of %d" % (row["impossible"], row["stacks"]),
            percent(row["unplaced"], "%.1f"), row["says"]]


def accuracy(rows):
    def key(row):
        return row["interpreter"], row["program"], row["clock"]

    for (interpreter, program, clock), group in grouped(rows, key):
        true = next((r["truth"] for r in group if "truth" in r), {})
        yield "## Accuracy: %s, %s time, %s" % (program[len("truth_"):], clock, interpreter)
        yield ""
        if true:
            yield "Truth: " + ", ".join("%s %.2f %%" % (part, 100 * share) for part, share in true.items())
            yield ""
        yield from lines_of(ACCURACY, map(accuracy_line, group))


# ------------------------------------------------------------------ limits

def limits(rows):
    yield "## Limits that the design sets"
    yield ""
    yield from lines_of(["what", "value", "unit", "limit", ""], (
        [r["name"], "%.3f" % r["value"], r["unit"], DASH if r["limit"] is None else "%g" % r["limit"], r["detail"]]
        for r in rows))


WRITERS = {"overhead": overhead, "accuracy": accuracy, "limits": limits}


def write(kind, rows, about, directory):
    """NAME.md and NAME.json; the Markdown is made from the JSON's values alone."""
    directory.mkdir(parents=True, exist_ok=True)
    text = ["# Pillion's benchmarks: %s" % kind, "", *heading(about), *WRITERS[kind](rows)]
    (directory / (kind + ".md")).write_text("\n".join(text).rstrip() + "\n")
    (directory / (kind + ".json")).write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    return "\n".join(text)
