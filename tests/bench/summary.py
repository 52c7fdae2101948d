# SPDX-License-Identifier: MIT
"""What README says under "How it compares": made from the whole tables in results/, and from nothing else.

One line for each profiler, then every place where another one does better than Pillion.
"""
import json
import statistics

import place
import table

README = place.REPO / "README.md"
TITLE = "## How it compares\n"
NONE = "No whole run of `tests/bench/run.py` has been kept yet: its figures come here by themselves."
INTRODUCTION = """\
Made by `tests/bench/run.py` from whole tables in [tests/bench/results](tests/bench/results), which have all
values, intervals, machine and versions; [tests/bench/README.md](tests/bench/README.md) says how to read them."""
COLUMNS = ["profiler", "CPU ×, median", "CPU ×, worst", "distance %, median", "best or within noise of the best",
           "impossible stacks", "cannot run"]


def load(directory):
    """{kind: table} of those that are there."""
    return {kind: json.loads((directory / (kind + ".json")).read_text())
            for kind in ("overhead", "accuracy", "scaling") if (directory / (kind + ".json")).exists()}


def rows_of(tables, kind, **wanted):
    return [r for r in tables.get(kind, {"rows": []})["rows"] if all(r.get(k) == v for k, v in wanted.items())]


def ordered(values):
    return list(dict.fromkeys(values))


def is_good(row):
    """Nobody was shown to be better at as many samples; None for what does not sample."""
    return None if "distance_at" not in row else "best" not in row or row["worse_low"] <= 0


def profiler_line(tables, interpreter, peer):
    cost = rows_of(tables, "overhead", interpreter=interpreter, peer=peer)
    truth = rows_of(tables, "accuracy", interpreter=interpreter, peer=peer)
    ran, right = ([r for r in some if "message" not in r] for some in (cost, truth))
    worst = max(ran, key=lambda r: r["cpu"], default=None)
    judged = [g for g in map(is_good, right) if g is not None]
    failed = len(cost) + len(truth) - len(ran) - len(right)
    return [peer, "%.3f" % statistics.median(r["cpu"] for r in ran) if ran else table.DASH,
            "%.3f (%s)" % (worst["cpu"], worst["program"]) if worst else table.DASH,
            table.percent(statistics.median(r["distance"] for r in right)) if right else table.DASH,
            "%d of %d" % (sum(judged), len(judged)) if judged else table.DASH,
            sum(r["impossible"] for r in right) if right else table.DASH,
            "%d of %d" % (failed, len(cost) + len(truth)) if failed else ""]


def cheaper(tables, interpreter):
    """Where the whole interval of another one lies below that of Pillion, with native stacks or without."""
    for program in ordered(r["program"] for r in rows_of(tables, "overhead", interpreter=interpreter)):
        rows = {r["peer"]: r for r in rows_of(tables, "overhead", interpreter=interpreter, program=program)
                if r.get("cpu_low") is not None}
        own = rows.get("pillion")
        for peer, row in rows.items():
            if own and not peer.startswith("pillion") and row["cpu_high"] < own["cpu_low"]:
                yield "Overhead, %s: %s %.3f, Pillion %.3f (without native stacks %s)." % (
                    program, peer, row["cpu"], own["cpu"], table.number(
                        rows.get("pillion --no-native", {}).get("cpu"), "%.3f"))


def righter(tables, interpreter):
    for row in rows_of(tables, "accuracy", interpreter=interpreter):
        if row["peer"].startswith("pillion") and is_good(row) is False:
            yield "Accuracy, %s, %s time: %s is worse than %s, by %s to %s percentage points." % (
                row["program"][len("truth_"):], row["clock"], row["peer"], row["best"],
                table.percent(row["worse_low"]), table.percent(row["worse_high"]))


def section(tables, interpreter):
    peers = ordered(r["peer"] for kind in ("overhead", "accuracy")
                    for r in rows_of(tables, kind, interpreter=interpreter) if r["peer"] != "(alone)")
    if not peers:
        return
    yield "### " + interpreter
    yield ""
    yield from table.lines_of(COLUMNS, [profiler_line(tables, interpreter, peer) for peer in peers])
    wins = [*cheaper(tables, interpreter), *righter(tables, interpreter)]
    yield "Where another one does better:" if wins else "Nowhere was another one shown to do better."
    yield ""
    yield from ["* " + win for win in wins] + [""] * bool(wins)


def pictures(tables):
    drawn = [r for r in rows_of(tables, "scaling") if "message" not in r]
    for interpreter, axis in ordered((r["interpreter"], r["point"].rsplit(" ", 1)[0]) for r in drawn):
        yield "![cost against %s, %s](tests/bench/results/scaling-%s-%s.svg)" % (axis, interpreter, axis, interpreter)
        yield ""


def text(tables):
    """The section, with its title."""
    if not tables:
        return "%s\n%s\n" % (TITLE, NONE)
    about = ["* %s: %s, commit %s; %s, %d cores, Linux %s" % (
        kind, *(t["about"][k] for k in ("date", "commit", "cpu", "cores", "kernel"))) for kind, t in tables.items()]
    interpreters = ordered(r["interpreter"] for t in tables.values() for r in t["rows"])
    lines = [TITLE, INTRODUCTION, "", *about, "", *(line for i in interpreters for line in section(tables, i)),
             *pictures(tables)]
    return "\n".join(lines).rstrip() + "\n"


def replaced(readme, new):
    """The README with this section in the place of the old one."""
    begin = readme.index(TITLE)
    end = readme.find("\n## ", begin + len(TITLE))
    return readme[:begin] + new + (readme[end:] if end >= 0 else "")


def update(directory):
    README.write_text(replaced(README.read_text(), text(load(directory))))
