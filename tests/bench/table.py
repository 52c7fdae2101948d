# SPDX-License-Identifier: MIT
"""Results as Markdown and JSON, with all that is needed to judge and to repeat them."""
import datetime
import json
import os
import platform
import statistics

import bursts
import measure
import place

DASH = "–"


def _first(path, start, default=""):
    try:
        with open(path) as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(start)), default)
    except OSError:
        return default


def circumstances(options, command, settings):
    """Machine, versions, date, commit, and what was asked for."""
    pip = {s.id: {k: v for k, v in s.versions().items()} for s in options.subjects}
    date, commit = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), place.commit()
    return {
        "date": date, "commit": commit, "measured": {s.id: "%s, commit %s" % (date, commit) for s in options.subjects},
        "command": command, "cpu": _first("/proc/cpuinfo", "model name", platform.machine()),
        "cores": os.cpu_count(), "kernel": platform.release(), "libc": " ".join(platform.libc_ver()),
        "memory_kib": _first("/proc/meminfo", "MemTotal"), "load_at_start": os.getloadavg()[0],
        "interpreters": {s.id: "CPython %d.%d.%d, %s" % (*s.interpreter.version, " ".join(sorted(s.interpreter.tags)))
                         for s in options.subjects},
        "packages": pip, "environment": measure.FIXED, "settings": settings,
        "rate": settings.get("rate")}


def heading(about):
    wanted = ("py-spy", "austin-dist", "scalene", "memray", "pyinstrument", "yappi", "line_profiler", "line-profiler",
              "numpy", "pandas", "django")
    lines = ["%s, %d cores, Linux %s, %s. Load before: %.2f." % (
        about["cpu"], about["cores"], about["kernel"], about["libc"], about["load_at_start"]), ""]
    for key, text in about["interpreters"].items():
        packages = ", ".join("%s %s" % (n, about["packages"][key][n]) for n in wanted if n in about["packages"][key])
        lines.append("* `%s`: %s; %s. %s" % (key, text, packages, about["measured"][key]))
    asked = ["%s %g%s" % (word, about["settings"][name], unit) for name, word, unit in (
        ("rate", "rate", " Hz"), ("rounds", "rounds", ""), ("runs", "runs", ""), ("seconds", "work of a run", " s"))
        if name in about["settings"]]
    fixed = ", ".join("`%s=%s`" % item for item in about["environment"].items())
    lines.append("* %sOn all sides: %s." % ("Asked for: %s. " % ", ".join(asked) if asked else "", fixed))
    return [*lines, "* `%s`" % about["command"], ""]


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

OVERHEAD = ["profiler", "rounds", "CPU ×", "wall ×", "profiler CPU s", "profiler RSS MiB", "RSS added MiB", "start CPU s",
            "written KiB", "samples asked", "got", "lost", "it says"]


def overhead_line(row):
    if "message" in row:
        return [row["peer"], "0", "cannot run: " + row["message"], *[""] * (len(OVERHEAD) - 3)]
    return [row["peer"], len(row["rounds"]), interval(row, "cpu", "%.3f"), interval(row, "wall", "%.3f"),
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


# ------------------------------------------------------------------- turns

TURNS = ["profiler", "pairs of turns", "CPU ×", "wall ×", "it says"]


def turns_line(row):
    if "message" in row:
        return [row["peer"], "0", "cannot run: " + row["message"], "", ""]
    return [row["peer"], row["pairs"], interval(row, "cpu", "%.3f"), interval(row, "wall", "%.3f"), row["says"]]


def turns(rows):
    for (interpreter, program), group in grouped(rows, lambda r: (r["interpreter"], r["program"])):
        yield "## Turns: %s, %s" % (program, interpreter)
        yield ""
        yield from lines_of(TURNS, map(turns_line, group))


# ---------------------------------------------------------------- accuracy

ACCURACY = ["profiler", "distance %", "interval", "noise % (95 %)", "one run %", "samples", "slope", "among samplers",
            "lost %", "impossible", "unplaced %", "it says"]


def percent(value, form="%.2f"):
    return DASH if value is None else form % (100 * value)


def verdict(row):
    """Against the best sampler, at the same number of samples."""
    if "distance_at" not in row:
        return DASH
    at = "%s at %d: " % (percent(row["distance_at"]), row["compared_at"])
    if "best" not in row:
        return at + "best"
    if row["worse_low"] <= 0:
        return at + "within noise of the best"
    return at + "worse than %s by %s..%s" % (row["best"], percent(row["worse_low"]), percent(row["worse_high"]))


def accuracy_line(row):
    if "message" in row:
        return [row["peer"], "cannot run: " + row["message"], *[""] * (len(ACCURACY) - 2)]
    name = row["peer"] + (" (wall clock)" if row["wall_instead"] else "")
    noise = "%s (%s)" % (percent(row["noise"]), percent(row["noise_high"])) if "noise" in row else DASH
    return [name, percent(row["distance"]), "[%s, %s]" % (percent(row["low"]), percent(row["high"])), noise,
            percent(row["distance_one_run"]), number(row.get("samples")), interval(row, "slope", "%.2f"), verdict(row),
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


# -------------------------------------------------------------------- bias

BIAS = ["profiler", "program", "clock", "runs", "samples", "distance %", "noise % (95 %)", "slope", "largest bias", "others"]


def of_bias(part, bias):
    """In percentage points, with its interval."""
    mean, low, high = (100 * value for value in bias)
    return "%s %+.2f [%+.2f, %+.2f]" % (part, mean, low, high)


def bias_line(row):
    first = [row["peer"], row["program"][len("truth_"):], row["clock"]]
    if "message" in row:
        return [*first, "0", "cannot run: " + row["message"], *[""] * (len(BIAS) - 5)]
    noise = "%s (%s)" % (percent(row["noise"]), percent(row["noise_high"])) if "noise" in row else DASH
    known = [(part, bias) for part, bias in row["biases"].items() if None not in bias]
    told = [of_bias(*item) for item in sorted(known, key=lambda item: -abs(item[1][0]))] or [DASH]
    return [*first, row["runs"], number(row.get("samples")), percent(row["distance"]), noise, interval(row, "slope", "%.2f"),
            told[0], ", ".join(told[1:])]


def bias(rows):
    for interpreter, group in grouped(rows, lambda r: r["interpreter"]):
        yield "## Bias: " + interpreter
        yield ""
        yield from lines_of(BIAS, map(bias_line, group))


# ----------------------------------------------------------------- scaling

SCALING = ["profiler", "rounds", "CPU ×", "wall ×", "profiler CPU s", "profiler RSS MiB", "samples asked", "got",
           "got %", "lost", "it says"]


def scaling_line(row):
    value = row["point"].rsplit(" ", 1)[1]
    if "message" in row:
        return [value, row["peer"], "0", "cannot run: " + row["message"], *[""] * (len(SCALING) - 3)]
    share = row["got"] / row["asked"] if row["got"] is not None and row["asked"] else None
    return [value, row["peer"], len(row["rounds"]), interval(row, "cpu", "%.3f"), interval(row, "wall", "%.3f"),
            number(row["profiler_cpu"], "%.3f"), number(row["profiler_rss"], "%.1f"), number(row["asked"]),
            number(row["got"]), percent(share, "%.1f"), number(row["lost"]), row["says"]]


def scaling(rows):
    """Peers keep together, so that a column can be read downwards."""
    def key(row):
        return row["interpreter"], row["point"].rsplit(" ", 1)[0]

    for (interpreter, axis), group in grouped(rows, key):
        yield "## Scaling: %s, %s" % (axis, interpreter)
        yield ""
        if any("message" not in r for r in group):
            yield "![cost against %s](scaling-%s-%s.svg)" % (axis, axis, interpreter)
            yield ""
        by_peer = [row for _, some in grouped(group, lambda r: r["peer"]) for row in some]
        yield from lines_of([axis, *SCALING], map(scaling_line, by_peer))


# ------------------------------------------------------------------ bursts

BURST = ["profiler", "rounds", "samples a second", "CPU ×", "wall ×", "profiler CPU s", "it says"]


def burst_line(row):
    asked = row["point"].rsplit(" ", 1)[1]
    if "message" in row:
        return [asked, row["peer"], "0", "cannot run: " + row["message"], *[""] * (len(BURST) - 3)]
    return [asked, row["peer"], len(row["rounds"]), number(bursts.per_second(row)), interval(row, "cpu", "%.3f"),
            interval(row, "wall", "%.3f"), number(row["profiler_cpu"], "%.3f"), row["says"]]


def burst(rows):
    for (interpreter, program), group in grouped(rows, lambda r: (r["interpreter"], r["point"].rsplit(" ", 1)[0])):
        yield "## Bursts: %s, %s" % (program, interpreter)
        yield ""
        yield from lines_of(["asked for", *BURST], map(burst_line, group))


# ------------------------------------------------------------------ limits

def limits(rows):
    yield "## Limits that the design sets"
    yield ""
    yield from lines_of(["what", "value", "unit", "limit", ""], (
        [r["name"], "%.3f" % r["value"], r["unit"], DASH if r["limit"] is None else "%g" % r["limit"], r["detail"]]
        for r in rows))


# ------------------------------------------------------------------ memory

def memory(rows):
    """Figures of malloc and free themselves, and programs."""
    yield from limits([r for r in rows if "name" in r])
    yield from overhead([r for r in rows if "peer" in r])


WRITERS = {"overhead": overhead, "turns": turns, "accuracy": accuracy, "bias": bias, "scaling": scaling, "burst": burst,
           "memory": memory, "limits": limits}


def write(kind, rows, about, directory):
    """NAME.md and NAME.json; the Markdown is made from the JSON's values alone."""
    directory.mkdir(parents=True, exist_ok=True)
    text = ["# Pillion's benchmarks: %s" % kind, "", *heading(about), *WRITERS[kind](rows)]
    (directory / (kind + ".md")).write_text("\n".join(text).rstrip() + "\n")
    (directory / (kind + ".json")).write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    return "\n".join(text)
