"""The charts of docs/performance.md, as SVG on white, which reads on light and dark pages alike. Needs matplotlib."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from .record import Row

_OURS, _OTHERS, _FLOOR = "#1f6feb", "#9aa4b2", "#b35900"


def draw(rows: list[Row], folder: Path) -> list[Path]:
    """All charts whose rows were measured."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "svg.fonttype": "none", "font.family": "sans-serif"})
    found = {row.key: row for row in rows}
    charts = {
        "bench-dpop.svg": (_ratios, ("dpop", "unseen-es256", "unseen-rs256")),
        "bench-doors.svg": (_doors, ("flask", "asgi", "fastapi", "django")),
        "bench-growth.svg": (_growth, ("growth",)),
        "bench-http.svg": (_http, ("http",)),
    }
    drawn = []
    for name, (chart, keys) in charts.items():
        if all(key in found for key in keys):
            figure = chart(*(found[key] for key in keys))
            figure.savefig(folder / name, facecolor="white", bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
            drawn.append(folder / name)
    return drawn


def _bars(axes: Any, names: list[str], values: list[float], texts: list[str], *, ours: int) -> None:
    colours = [_OURS if number < ours else _OTHERS for number in range(len(names))]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, labels=texts, padding=3)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.18)


def _ratios(*rows: Row) -> Any:
    figure, axes = plt.subplots(len(rows), 1, figsize=(7.2, 1.1 + 1.7 * len(rows)), layout="constrained")
    for row, one in zip(rows, axes, strict=True):
        bars = [(f"strongdm-auth ({row.figures[0].label})", row.figures[0].value)]
        bars += [(peer.name, peer.value) for peer in row.peers if peer.value is not None]
        names, values = [name for name, _ in bars], [value for _, value in bars]
        _bars(one, names, values, [f"{value:.2f}" for value in values], ours=1)
        one.axvline(1, color=_FLOOR, linewidth=1)
        one.set_title(row.operation, loc="left", fontsize=9)
    axes[-1].set_xlabel("times a bare signature check (orange line); less is better")
    return figure


def _doors(*rows: Row) -> Any:
    bars: list[tuple[str, float, bool]] = []
    for row in rows:
        bars += [(f"{row.key}: {figure.label}", figure.value, True) for figure in row.figures if figure.unit == "us"]
    for row in rows:
        bars += [(peer.name, peer.value, False) for peer in row.peers if peer.value is not None]
    figure, axes = plt.subplots(figsize=(7.2, 0.8 + 0.3 * len(bars)), layout="constrained")
    values = [value for _, value, _ in bars]
    ours = sum(mine for *_, mine in bars)
    _bars(axes, [name for name, *_ in bars], values, [f"{value:.1f}" for value in values], ours=ours)
    axes.set_xlabel("microseconds added to a request, Bearer token seen before; less is better")
    return figure


def _growth(row: Row) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    sizes = row.series["sizes"]
    for name, key, colour in (("DPoP request", "dpop_us", _OURS), ("Bearer request", "bearer_us", _FLOOR)):
        values = row.series[key]
        axes.plot(sizes, [value / values[0] for value in values], marker="o", color=colour, label=name)
    axes.axhline(row.figures[0].limit or 1.0, color=_OTHERS, linestyle="--", linewidth=1, label="target")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("agents that are active, each with a token and a key of its own")
    axes.set_ylabel("cost, of that with one agent")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _http(row: Row) -> Any:
    bars = [
        (f"strongdm-auth, {figure.label}", figure.value, True) for figure in row.figures if "CPU" not in figure.label
    ]
    bars += [(f"{peer.name}, {peer.note}", peer.value, False) for peer in row.peers if peer.value is not None]
    figure, axes = plt.subplots(figsize=(7.2, 0.8 + 0.32 * len(bars)), layout="constrained")
    values = [value for _, value, _ in bars]
    ours = sum(mine for *_, mine in bars)
    _bars(axes, [name for name, *_ in bars], values, [f"{value:.2f}" for value in values], ours=ours)
    axes.axvline(1, color=_FLOOR, linewidth=1)
    axes.set_xlabel("requests a second, of the bare route's (orange line); more is better")
    return figure
