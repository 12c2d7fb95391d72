"""What a scenario found: one JSON line, a table, and docs/performance.md."""

from __future__ import annotations

import json
import platform
import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: made by make bench -->", "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a scenario over its rounds, beside its reference (of the same rounds) and what it must reach."""

    scenario: str
    what: str
    unit: str
    rounds: tuple[float, ...]
    reference: tuple[float, ...] = ()
    must: str = ""
    reached: bool | None = None

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rounds)

    @property
    def ratio(self) -> float | None:
        """Median over the reference's median."""
        return self.median / statistics.median(self.reference) if self.reference else None


def show(figures: Sequence[Figure]) -> None:
    """Print each figure as a JSON line, then all as a table."""
    for figure in figures:
        print(json.dumps({**asdict(figure), "median": figure.median, "ratio": figure.ratio}))
    print()
    print("\n".join(_table(figures)))


def _table(figures: Sequence[Figure]) -> list[str]:
    lines = [
        "| scenario | measured | median | lowest–highest | reference | ratio | must | reached |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        reference = f"{statistics.median(figure.reference):,.0f} {figure.unit}" if figure.reference else "–"
        ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else "–"
        spread = f"{_short(min(figure.rounds))}–{_short(max(figure.rounds))}"
        reached = {True: "yes", False: "**no**", None: "–"}[figure.reached]
        lines.append(
            f"| {figure.scenario} | {figure.what} | {_short(figure.median)} {figure.unit} | {spread} | {reference} "
            f"| {ratio} | {figure.must or '–'} | {reached} |"
        )
    return lines


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def write(figures: Sequence[Figure]) -> None:
    """Put the table into docs/performance.md, with machine, date and versions."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pycurl", "sqlalchemy", "waitress"))
    facts = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {platform.machine()}, {_cores()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {libraries}.",
        "",
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join([*facts, *_table(figures)]) + f"\n{END}{after}", encoding="utf-8")


def _cores() -> int:
    import os

    return os.cpu_count() or 1
