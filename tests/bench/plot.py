# SPDX-License-Identifier: MIT
"""Draws the rows of scaling: runs in an environment of its own, which has matplotlib.

    plot.py SCALING.json DIRECTORY [--png]

One picture for each interpreter and each thing that grows: what the target pays, what the profiler
pays, and how many of the samples asked for came. Profilers differ in marker and dash as well as in colour.
"""
import json
import pathlib
import sys

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402

LOOK = {"pillion": ("#0072b2", "o", "-"), "pillion --no-native": ("#56b4e9", "s", "--"),
        "pillion --burst": ("#009e73", "D", "-."), "py-spy": ("#d55e00", "^", ":"), "austin": ("#000000", "x", "-."),
        "profiling.sampling": ("#cc79a7", "v", "--")}
ABSCISSA = {"busy-threads": "threads that compute", "idle-threads": "threads, of which one computes",
            "depth": "depth of the stack in frames", "rate": "samples a second that are asked for (Hz)",
            "processes": "processes that compute"}
LEAST = 0.1  # percent; what is less, or negative, has no place on a logarithm's axis and is drawn there


def overhead(row):
    """CPU time added to the target, in percent, and its interval."""
    return tuple(None if row[f] is None else max(LEAST, 100 * (row[f] - 1)) for f in ("cpu", "cpu_low", "cpu_high"))


def profiler_cpu(row):
    return max(LEAST, 100 * row["profiler_cpu"] / max(1e-9, row["outcome_wall"])), None, None


def samples(row):
    return (100 * row["got"] / row["asked"] if row["asked"] and row["got"] else None), None, None


PANELS = [("CPU time added to the target (%)", overhead), ("profiler's own CPU (% of one core)", profiler_cpu),
          ("samples got (% of those asked for)", samples)]


def value_of(row):
    return int(row["point"].rsplit(" ", 1)[1])


def series(rows, figure):
    """(x, y, error below, error above), of the points that there are"""
    found = []
    for row in sorted(rows, key=value_of):
        y, low, high = figure(row)
        if y is not None:
            found.append((value_of(row), y, max(0, y - low) if low else 0, max(0, high - y) if high else 0))
    return list(zip(*found))


def tick(number, _):
    return ("≤%g" if number == LEAST else "%g") % number


def panel(axes, rows, label, title, figure):
    for peer, (colour, marker, dash) in LOOK.items():
        points = series([r for r in rows if r["peer"] == peer], figure)
        if points:
            x, y, below, above = points
            axes.errorbar(x, y, yerr=(below, above), color=colour, marker=marker, linestyle=dash, markersize=6,
                          markerfacecolor="none", linewidth=1.4, elinewidth=0.8, capsize=2, label=peer)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, steps in ((axes.xaxis, (1,)), (axes.yaxis, (1, 2, 5))):
        axis.set_major_locator(ticker.LogLocator(10, steps))
        axis.set_major_formatter(ticker.FuncFormatter(tick))
        axis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel(label)
    axes.set_title(title, fontsize=10)
    axes.grid(True, which="major", linewidth=0.4, color="#bbbbbb")


def draw(interpreter, axis, rows, about, path):
    figure, all_axes = pyplot.subplots(1, len(PANELS), figsize=(13, 4.4), layout="constrained")
    for axes, (title, values) in zip(all_axes, PANELS):
        panel(axes, rows, ABSCISSA[axis], title, values)
    at = "" if axis == "rate" else " at %d Hz" % about["rate"]
    figure.suptitle("Cost against %s%s, %s; %s" % (axis.replace("-", " "), at, interpreter, about["measured"][interpreter]),
                    fontsize=11)
    handles = {}
    for axes in all_axes:
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(str(path), metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def main(argv):
    data, directory = json.loads(pathlib.Path(argv[0]).read_text()), pathlib.Path(argv[1])
    matplotlib.rcParams["svg.hashsalt"] = "pillion"  # the same rows, the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    suffix = ".png" if "--png" in argv else ".svg"
    groups = {}
    for row in data["rows"]:
        if "message" not in row:
            groups.setdefault((row["interpreter"], row["point"].rsplit(" ", 1)[0]), []).append(row)
    for (interpreter, axis), rows in groups.items():
        draw(interpreter, axis, rows, data["about"], directory / ("scaling-%s-%s%s" % (axis, interpreter, suffix)))


if __name__ == "__main__":
    main(sys.argv[1:])
