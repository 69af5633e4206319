"""The tables and plots of what was measured, and which targets are met."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import green
import plots
import targets
from rich.console import Console
from rich.table import Table

BEGIN, END = "<!-- the last table -->", "<!-- its end -->"


def write(found: dict[str, Any], folder: Path) -> None:
    """Print the tables; write them, and the plots, into the folder."""
    figures = figures_of(found)
    with (folder / "report.txt").open("w") as file:
        for console in (Console(), Console(file=file, width=120)):
            for table in tables(found, figures):
                console.print(table)
            missed = sum(not target.is_met(figures[target.figure]) for target in known(figures))
            took = f"{found['minutes']:.1f} minutes"
            load = f"load {found['load']:.1f} when it began"
            console.print(f"{took}, {load}; targets missed: {missed} of {len(known(figures))}")
    for name, text in drawn(found, figures).items():
        (folder / name).write_text(text)


def document(found: dict[str, Any], file: Path) -> None:
    """Put the table of the targets where the last one was."""
    figures = figures_of(found)
    lines = ["| target | wanted | reached | |", "| --- | --- | --- | --- |"]
    for target in known(figures):
        value = figures[target.figure]
        met = "met" if target.is_met(value) else "**missed**"
        lines.append(f"| {target.figure} | {target} | {value:.2f} | {met} |")
    lines.append(f"\nIt took {found['minutes']:.0f} minutes; the load was {found['load']:.1f}.")
    before, _, rest = file.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    file.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def known(figures: dict[str, float]) -> list[targets.Target]:
    """Return the targets whose figures were measured."""
    every = [*targets.HTTP, *targets.LAYER, *targets.GROWTH, *targets.DAILY]
    # Those of the data layer hold for each kind of service.
    spread = [
        target._replace(figure=figure)
        for target in every
        for figure in figures
        if figure == target.figure or figure.endswith(f": {target.figure}")
    ]
    return spread


def ratio(rounds: list[dict[str, Any]], who: str, figure: str) -> float:
    """Return the median over the rounds of the service's figure to another's."""
    return statistics.median(taken["ours"][figure] / taken[who][figure] for taken in rounds)


def figures_of(found: dict[str, Any]) -> dict[str, float]:
    """Return everything that may have a target, by name."""
    figures = http_figures(found)
    for row in found.get("http", []):
        if row["operation"] == "get one" and "raw" in row["rounds"][0]:
            figures[f"{row['kind']}, get one, p99 of raw"] = ratio(row["rounds"], "raw", "p99")
    for kind, layer in found.get("layer", {}).items():
        for entry in layer["found"]:
            figures[f"{kind}: {entry['what']}, {entry['side']}"] = entry["ratio"]
    for operation, by_rows in found.get("growth", {}).items():
        cpu = list(by_rows.values())
        figures[f"growth, {operation}"] = cpu[-1] / cpu[0]
    if clients := found.get("clients"):
        figures["p99 under 64 clients, seconds"] = clients["ours"]["64"]["p99"]
        figures["p99 under 10x the pool, seconds"] = clients["ours"]["160"]["p99"]
    for section in ("daily", "suite"):
        figures |= found.get(section, {})
    return figures | green.figures(found.get("green", {}))


def http_figures(found: dict[str, Any]) -> dict[str, float]:
    """Return how much CPU a request takes each other server, to ours."""
    return {
        f"{row['kind']}, {row['operation']}, of {who}": 1 / ratio(row["rounds"], who, "cpu")
        for row in found.get("http", [])
        for who in row["rounds"][0]
        if who != "ours"
    }


def tables(found: dict[str, Any], figures: dict[str, float]) -> list[Table]:
    made = []
    if found.get("http", []):
        made.append(_http(found))
    if found.get("round trips"):
        made.append(_round_trips(found["round trips"]))
    over_http = http_figures(found)
    rest = {name: value for name, value in figures.items() if name not in over_http}
    if rest:
        title = "data layer, growth, daily loop, the template's own suite"
        made.append(_figures(title, rest, known(figures)))
    reached = Table("target", "wanted", "reached", "", title="targets")
    for target in known(figures):
        value = figures[target.figure]
        reached.add_row(
            target.figure, str(target), f"{value:.2f}", "met" if target.is_met(value) else "missed"
        )
    return [*made, reached]


def _http(found: dict[str, Any]) -> Table:
    table = Table(
        "service", "operation", "of", "throughput", "CPU", "p50", "p99", "requests/s", title="HTTP"
    )
    for row in found.get("http", []):
        rounds = row["rounds"]
        for who in rounds[0]:
            if who == "ours":
                continue
            table.add_row(
                row["kind"],
                row["operation"],
                who,
                f"{ratio(rounds, who, 'rate'):.2f}",
                f"{1 / ratio(rounds, who, 'cpu'):.2f}",
                *(f"{ratio(rounds, who, name):.2f}" for name in ("p50", "p99")),
                f"{statistics.median(taken['ours']['rate'] for taken in rounds):.0f}",
            )
    return table


def _round_trips(found: dict[str, Any]) -> Table:
    every = [counts for operations in found.values() for counts in operations.values()]
    servers = list(dict.fromkeys(who for counts in every for who in counts))
    title = "round trips to PostgreSQL for a request"
    table = Table("service", "operation", *servers, title=title)
    for kind, operations in found.items():
        for operation, counts in operations.items():
            cells = (f"{counts[who]:.1f}" if who in counts else "" for who in servers)
            table.add_row(kind, operation, *cells)
    return table


def _figures(title: str, figures: dict[str, float], wanted: list[targets.Target]) -> Table:
    table = Table("what", "reached", "wanted", title=title)
    bounds = {target.figure: str(target) for target in wanted}
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}", bounds.get(name, ""))
    return table


def drawn(found: dict[str, Any], figures: dict[str, float]) -> dict[str, str]:
    """Return the plots, by the names of their files."""
    made = {}
    wanted = {target.figure: target.bound for target in known(figures)}
    http = [(name, value, wanted.get(name)) for name, value in http_figures(found).items()]
    if http:
        made["http.svg"] = plots.bars("HTTP: CPU for a request, theirs to ours", http)
    if "green" in found:
        steps = [
            (f"{side}, {step}", statistics.median(one[step] for one in taken), None)
            for side, taken in found["green"].items()
            for step in (*green.STEPS, "again", "alone")
        ]
        made["green.svg"] = plots.bars("From an empty folder to green: seconds", steps)
    if "growth" in found:
        by_rows = {
            operation: {float(rows): cpu * 1e6 for rows, cpu in points.items()}
            for operation, points in found["growth"].items()
        }
        made["rows.svg"] = plots.lines("CPU for a request, by rows", by_rows, "µs")
    if "clients" in found:
        by_clients = {
            who: {float(clients): seen["p99"] * 1e3 for clients, seen in points.items()}
            for who, points in found["clients"].items()
        }
        made["clients.svg"] = plots.lines("get one: p99, by clients", by_clients, "ms")
    return made
