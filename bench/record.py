"""What a measurement leaves behind: figures, rows of the table, series for the charts. Plain values that go into JSON."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: `x`: times the floor; `us`: microseconds added; `rel`: of the bare route, or of the first point; `ms` and `B` as such.
Unit = Literal["x", "us", "rel", "ms", "B"]


@dataclass
class Figure:
    """One number. `limit` is the target; `at_least` turns it round. `least` is from the minima instead of the medians."""

    label: str
    value: float
    unit: Unit
    least: float | None = None
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def text(self) -> str:
        """As it stands in the table."""
        return show(self.value, self.unit)


@dataclass
class Peer:
    """Another library's figure for the same row; or the reason why there is none."""

    name: str
    value: float | None = None
    least: float | None = None
    unit: Unit = "x"
    note: str = ""

    def text(self) -> str:
        """As it stands in the table."""
        figure = "-" if self.value is None else show(self.value, self.unit)
        return f"{self.name} {figure}" + (f" ({self.note})" if self.note else "")


@dataclass
class Row:
    """One row of the table: an operation, our figures against their targets, and everybody else's."""

    key: str
    operation: str
    figures: list[Figure]
    peers: list[Peer] = field(default_factory=list)
    #: From an earlier study on another machine, for orientation.
    reference: str = "-"
    by_hand: float | None = None
    series: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether every target of the row is met; None where it has none."""
        verdicts = [figure.met for figure in self.figures if figure.met is not None]
        return all(verdicts) if verdicts else None


def show(value: float, unit: Unit) -> str:
    """A number as people read it."""
    if unit == "x":
        return f"{value:.2f} x"
    if unit == "us":
        return f"{value:.1f} us"
    if unit == "ms":
        return f"{value:.2f} ms"
    if unit == "B":
        return f"{value:,.0f} B"
    return f"{value:.2f}"


def to_json(rows: list[Row], machine: dict[str, str]) -> str:
    """The whole record of a run."""
    document = {
        "machine": machine,
        "rows": [
            {**asdict(row), "met": row.met, "figures": [{**asdict(one), "met": one.met} for one in row.figures]}
            for row in rows
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
