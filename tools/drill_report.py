"""What a drill has shown: numbers, a verdict, and a picture of it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drill_faults import Course
from drill_load import longest_gap

# Writes must come again so soon after the promotion, or after the end of what disturbs them.
SOON = 5
# Reads go on: no longer than this without one that is answered.
WITHOUT_READS = 2
STEP = 0.25
BARS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 900, 260


@dataclass
class Result:
    """The numbers of a run."""

    drill: str
    sessions: str
    synchronous: bool
    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    without_writes: float
    resumed: float
    without_reads: float
    reads_failed: int
    reads: int
    window: float
    rates: list[int]
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Tell whether all is as promised."""
        return not self.problems


def judge(drill: str, sessions: str, synchronous: bool, course: Course) -> Result:
    """Count, and say what is not as promised."""
    load, stored = course.load, course.stored
    written = [write.acknowledged or 0 for write in load.acknowledged]
    read = [one.ended for one in load.reads if one.is_answered]
    over = max(course.events.values())
    after = [moment for moment in written if moment > over]
    fault = course.events["fault"]
    lost = [write.acknowledged or 0 for write in stored.lost]
    result = Result(
        drill=drill,
        sessions=sessions,
        synchronous=synchronous,
        acknowledged=len(written),
        stored=stored.rows,
        lost=len(lost),
        duplicated=len(stored.duplicated),
        without_writes=longest_gap(written, fault, load.ended),
        resumed=min(after, default=float("inf")) - over,
        without_reads=longest_gap(read, fault, load.ended),
        reads_failed=sum(not one.is_answered for one in load.reads),
        reads=len(load.reads),
        # The last moments before the fault, of which something is gone.
        window=fault - min(lost, default=fault),
        rates=rates_of(written, load.began, load.ended),
        problems=list(course.problems),
    )
    unanswered = len(load.writes) - len(written)
    if result.lost and synchronous:
        result.problems.append(f"{result.lost} acknowledged writes are lost")
    if result.duplicated:
        result.problems.append(f"{result.duplicated} writes are stored more than once")
    if unanswered:
        result.problems.append(f"{unanswered} writes were never acknowledged")
    if result.resumed > SOON:
        result.problems.append(f"writes came again after {result.resumed:.1f} s")
    if result.without_reads > WITHOUT_READS:
        result.problems.append(f"no read for {result.without_reads:.1f} s")
    return result


def rates_of(moments: Sequence[float], began: float, ended: float) -> list[int]:
    """Return how many of these moments there are in each step of time."""
    counts = [0] * (int((ended - began) / STEP) + 1)
    for moment in moments:
        if began <= moment <= ended:
            counts[int((moment - began) / STEP)] += 1
    return counts


def bars(rates: Sequence[int]) -> str:
    """Return a line that shows how much there was of it in each step of time."""
    most = max(rates, default=0) or 1
    return "".join(BARS[-(-rate * (len(BARS) - 1) // most)] for rate in rates)


def draw(course: Course, title: str, path: Path) -> None:
    """Write a picture of the writes and reads in each second, and of what happened meanwhile."""
    load = course.load
    span = load.ended - load.began
    writes = rates_of(
        [write.acknowledged or 0 for write in load.acknowledged], load.began, load.ended
    )
    reads = rates_of([one.ended for one in load.reads if one.is_answered], load.began, load.ended)
    most = max([*writes, *reads, 1])

    def place(moment: float) -> float:
        return 40 + (moment - load.began) / span * (WIDTH - 60)

    def line(rates: Sequence[int], colour: str) -> str:
        points = " ".join(
            f"{place(load.began + (step + 0.5) * STEP):.1f},{220 - rate / most * 170:.1f}"
            for step, rate in enumerate(rates)
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'

    marks = [
        f'<line x1="{place(moment):.1f}" x2="{place(moment):.1f}" y1="40" y2="220" stroke="grey"'
        f' stroke-dasharray="4"/><text x="{place(moment) + 4:.1f}" y="{52 + 14 * number}">'
        f"{html.escape(event)}</text>"
        for number, (event, moment) in enumerate(course.events.items())
    ]
    seconds = [
        f'<text x="{place(load.began + second):.1f}" y="238">{second} s</text>'
        for second in range(int(span) + 1)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="40" y="20" font-size="15">{html.escape(title)}</text>',
        f'<text x="{WIDTH - 230}" y="20" fill="#06c">writes acknowledged</text>',
        f'<text x="{WIDTH - 100}" y="20" fill="#c60">reads answered</text>',
        f'<text x="4" y="54">{most / STEP:.0f}/s</text>',
        f'<line x1="40" x2="{WIDTH - 20}" y1="220" y2="220" stroke="black"/>',
        *marks,
        *seconds,
        line(reads, "#c60"),
        line(writes, "#06c"),
        "</svg>",
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(parts) + "\n")
