# SPDX-License-Identifier: MIT
"""What README says under "How it compares": made from the whole tables in results/, and from nothing else.

One line for each profiler, then every place where another one does better than Pillion.
"""
import json
import math
import statistics

import bursts
import place
import table

README = place.REPO / "README.md"
TITLE = "## How it compares\n"
NONE = "No whole run of `tests/bench/run.py` has been kept yet: its figures come here by themselves."
INTRODUCTION = """\
Made by `tests/bench/run.py` from whole tables in [tests/bench/results](tests/bench/results), which have all
values, intervals, machine and versions; [tests/bench/README.md](tests/bench/README.md) says how to read them.
× is with the profiler ÷ without it, at 100 samples a second; "in all" is of programs that work for half a second, so that
what is done once, at the start, weighs more than in a service. CPU × is that of the program alone: what a profiler uses in
a process of its own, most of what py-spy, austin and profiling.sampling cost, is in the tables. A win is told where one
interval lies below the other as a whole; smaller differences are in the tables as well."""
# (kind of table, field, what it is called)
FLOOR = 0.005  # of bias, which no number of samples would cure
SCALED = [("scaling", "wall", "wall × as load grows"), ("scaling", "cpu", "CPU × as load grows")]
COSTS = [("turns", "wall", "wall × while it samples"), ("overhead", "wall", "wall × in all"), ("overhead", "cpu", "CPU × in all")]


def load(directory):
    """{kind: table} of those that are there."""
    return {kind: json.loads((directory / (kind + ".json")).read_text())
            for kind in ("turns", "overhead", "accuracy", "bias", "scaling", "burst", "memory") if (directory / (kind + ".json")).exists()}


def rows_of(tables, kind, **wanted):
    return [r for r in tables.get(kind, {"rows": []})["rows"] if all(r.get(k) == v for k, v in wanted.items())]


def ordered(values):
    return list(dict.fromkeys(values))


def is_good(row):
    """Nobody was shown to be better at as many samples; None for what does not sample."""
    return None if "distance_at" not in row else "best" not in row or row["worse_low"] <= 0


def cost_cells(rows, field):
    """The median over programs, and the worst of them."""
    if not rows:
        return [table.DASH] * 2
    worst = max(rows, key=lambda r: r[field])
    return ["%.3f" % statistics.median(r[field] for r in rows), "%.3f (%s)" % (worst[field], worst["program"])]


def costs(tables):
    """Those that were measured."""
    return [cost for cost in COSTS if cost[0] in tables]


def columns(tables):
    right = ["distance %, median (Pillion's on the same)", "best or within noise of the best", "impossible stacks"] if "accuracy" in tables else []
    return ["profiler", *(cell for _, _, name in costs(tables) for cell in (name + ", median", "worst")), *right, "cannot run"]


def row_key(row):
    return row["program"], row["clock"]


def distance_cell(rows, own):
    """The median, and that of Pillion on the same programs and clocks: not all can measure all."""
    if not rows:
        return table.DASH
    same = [r["distance"] for r in own if row_key(r) in set(map(row_key, rows))]
    beside = " (%s)" % table.percent(statistics.median(same)) if len(same) < len(own) else ""
    return table.percent(statistics.median(r["distance"] for r in rows)) + beside


def right_cells(rows, own):
    judged = [g for g in map(is_good, rows) if g is not None]
    return [distance_cell(rows, own),
            "%d of %d" % (sum(judged), len(judged)) if judged else table.DASH,
            sum(r["impossible"] for r in rows) if rows else table.DASH]


def profiler_line(tables, interpreter, peer):
    every = {kind: rows_of(tables, kind, interpreter=interpreter, peer=peer) for kind in ("turns", "overhead", "accuracy")}
    ran = {kind: [r for r in rows if "message" not in r] for kind, rows in every.items()}
    own = [r for r in rows_of(tables, "accuracy", interpreter=interpreter, peer="pillion") if "message" not in r]
    tried = sum(map(len, every.values()))
    failed = tried - sum(map(len, ran.values()))
    return [peer, *(cell for kind, field, _ in costs(tables) for cell in cost_cells(ran[kind], field)),
            *(right_cells(ran["accuracy"], own) if "accuracy" in tables else ()),
            "%d of %d" % (failed, tried) if failed else ""]


def cheaper(tables, interpreter):
    """Where the whole interval of another one lies below that of Pillion, with native stacks or without."""
    for kind, field, title in COSTS + SCALED:
        every = rows_of(tables, kind, interpreter=interpreter)
        for program in ordered(r.get("point") or r["program"] for r in every):
            rows = {r["peer"]: r for r in every
                    if (r.get("point") or r["program"]) == program and r.get(field + "_low") is not None}
            own = rows.get("pillion")
            for peer, row in rows.items():
                if own and not peer.startswith("pillion") and row[field + "_high"] < own[field + "_low"]:
                    yield "%s, %s: %s %.3f, Pillion %.3f (without native stacks %s)." % (
                        title[0].upper() + title[1:], program, peer, row[field], own[field], table.number(
                            rows.get("pillion --no-native", {}).get(field), "%.3f"))


def righter(tables, interpreter):
    for row in rows_of(tables, "accuracy", interpreter=interpreter):
        if row["peer"].startswith("pillion") and is_good(row) is False and not row["best"].startswith("pillion"):
            yield "Accuracy, %s, %s time: %s is worse than %s, by %s to %s percentage points." % (
                row["program"][len("truth_"):], row["clock"], row["peer"], row["best"],
                table.percent(row["worse_low"]), table.percent(row["worse_high"]))


def section(tables, interpreter):
    peers = ordered(r["peer"] for kind in ("turns", "overhead", "accuracy")
                    for r in rows_of(tables, kind, interpreter=interpreter) if r["peer"] != "(alone)")
    if not peers:
        return
    yield "### " + interpreter
    yield ""
    yield from table.lines_of(columns(tables), [profiler_line(tables, interpreter, peer) for peer in peers])
    wins = [*cheaper(tables, interpreter), *righter(tables, interpreter)]
    yield "Where another one was shown to do better:" if wins else "Nowhere was another one shown to do better."
    yield ""
    yield from ["* " + win for win in wins] + [""] * bool(wins)


def off_by(bias):
    """What a part was shown to be off by at least: what of its interval lies nearest to none."""
    _, low, high = bias
    return max(0.0, low, -high)


def biases(tables):
    """Whether any part was shown to be too large or too small, by more than FLOOR, and how closely that is known."""
    for interpreter in ordered(r["interpreter"] for r in rows_of(tables, "bias")):
        rows = [r for r in rows_of(tables, "bias", interpreter=interpreter, peer="pillion") if "message" not in r]
        known = [(bias, row, part) for row in rows for part, bias in row["biases"].items() if None not in bias]
        if not known:
            continue
        worst, row, part = max(known, key=lambda k: off_by(k[0]))
        runs = sorted({r["runs"] for r in rows})
        yield "### Bias, " + interpreter
        yield ""
        yield ("In %s runs of each program, %s samples each in the median, %d of %d parts were shown to be too large or too small by more "
               "than %s percentage points. Half of them are known to within ± %s, all to within ± %s. The farthest from the truth is %s "
               "of %s, %s time, which is off by %s to %s." % (
                   " or ".join(map(str, runs)), format(round(statistics.median(r["samples"] for r in rows)), ","),
                   sum(off_by(bias) > FLOOR for bias, _, _ in known), len(known), table.percent(FLOOR, "%.1f"),
                   *(table.percent(f((bias[2] - bias[1]) / 2 for bias, _, _ in known)) for f in (statistics.median, max)),
                   part, row["program"][len("truth_"):], row["clock"], *map(table.percent, worst[1:])))
        yield ""


def memory_line(peer, rows):
    ran = [r for r in rows if "message" not in r]
    added = statistics.median(r["rss_added"] for r in ran) if ran else None
    return [peer, *(cell for field in ("cpu", "wall") for cell in cost_cells(ran, field)), table.number(added, "%.1f"),
            "%d of %d" % (len(rows) - len(ran), len(rows)) if len(ran) < len(rows) else ""]


def limited_cell(row):
    if math.isnan(row["value"]):
        return row["detail"]  # why it cannot run
    return "× %.3f" % row["value"] if row["unit"] == "×" else "%.2f %s" % (row["value"], row["unit"])


def memory(tables):
    """What it costs to watch it, in programs that allocate; and the design's limits, met or not."""
    every = rows_of(tables, "memory")
    programs = [r for r in every if "peer" in r]
    for interpreter in ordered(r["interpreter"] for r in programs):
        yield "### Memory, " + interpreter
        yield ""
        names = ["profiler", "CPU ×, median", "worst", "wall ×, median", "worst", "memory added, MiB", "cannot run"]
        yield from table.lines_of(names, [
            memory_line(peer, rows_of(tables, "memory", interpreter=interpreter, peer=peer))
            for peer in ordered(r["peer"] for r in programs)])
    limited = [r for r in every if r.get("limit") is not None]
    if limited:
        yield from table.lines_of(["of the design's limits", "value", "limit"], (
            [r["name"], limited_cell(r), "%g" % r["limit"]] for r in limited))


def burst_cells(row, rate):
    if row is None:
        return [table.DASH] * (3 if rate else 2)
    asked = [row["point"].rsplit(" ", 1)[1]] if rate else []
    return [*asked, format(round(bursts.per_second(row)), ","), table.interval(row, "wall", "%.3f")]


def at_full_speed(tables):
    """Each at the rate at which most samples came, and both at one that both reach."""
    found, shared = (f(rows_of(tables, "burst")) for f in (bursts.best, bursts.shared))
    names = ["program", "Pillion, samples a second", "wall ×", "profiling.sampling, best when asked for", "samples a second",
             "wall ×", *("%s at %s, wall ×" % (who, format(bursts.SHARED_RATE, ",")) for who in ("Pillion", "profiling.sampling"))]
    for interpreter in ordered(key[0] for key in found):
        yield "### Bursts, " + interpreter
        yield ""
        both = [[(interpreter, program, peer) for peer in ("pillion --burst", "profiling.sampling")]
                for program in ordered(key[1] for key in found if key[0] == interpreter)]
        yield from table.lines_of(names, (
            [own[1], *burst_cells(found.get(own), False), *burst_cells(found.get(other), True),
             *(table.interval(shared.get(key, {}), "wall", "%.3f") for key in (own, other))] for own, other in both))


def pictures(tables):
    drawn = [r for r in rows_of(tables, "scaling") if "message" not in r]
    for interpreter, axis in ordered((r["interpreter"], r["point"].rsplit(" ", 1)[0]) for r in drawn):
        yield "![cost against %s, %s](tests/bench/results/scaling-%s-%s.svg)" % (axis, interpreter, axis, interpreter)
        yield ""


def text(tables):
    """The section, with its title."""
    if not tables:
        return "%s\n%s\n" % (TITLE, NONE)
    about = ["* %s: %s; %s, %d cores, Linux %s" % (
        kind, "; ".join("%s: %s" % item for item in t["about"]["measured"].items()),
        *(t["about"][k] for k in ("cpu", "cores", "kernel"))) for kind, t in tables.items()]
    interpreters = sorted({r["interpreter"] for t in tables.values() for r in t["rows"] if "interpreter" in r})
    lines = [TITLE, INTRODUCTION, "", *about, "", *(line for i in interpreters for line in section(tables, i)),
             *biases(tables), *at_full_speed(tables), *memory(tables), *pictures(tables)]
    return "\n".join(lines).rstrip() + "\n"


def replaced(readme, new):
    """The README with this section in the place of the old one."""
    begin = readme.index(TITLE)
    end = readme.find("\n## ", begin + len(TITLE))
    return readme[:begin] + new + (readme[end:] if end >= 0 else "")


def update(directory):
    README.write_text(replaced(README.read_text(), text(load(directory))))
