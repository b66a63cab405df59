"""The table, as Markdown: for the terminal, `results/latest.md` and `docs/performance.md`."""

from .record import Figure, Row, show

_HEAD = (
    "| operation | ours (median; least) | target | | by hand, here | peers, here | an earlier study, elsewhere |",
    "|---|---|---|---|---|---|---|",
)
#: Where the table stands in docs/performance.md.
_BEGIN, _END = "<!-- table: written by python -m bench -->", "<!-- end of table -->"


def table(rows: list[Row]) -> str:
    """One row an operation."""
    return "\n".join([*_HEAD, *map(_line, rows)]) + "\n"


def document(rows: list[Row], machine: dict[str, str]) -> str:
    """The table with what it was measured on."""
    missed = [row.operation for row in rows if row.met is False]
    verdict = "All targets are met." if not missed else f"Not met: {'; '.join(missed)}."
    return f"# Benchmark results\n\n{table(rows)}\n{verdict}\n\n{machine_line(machine)}\n"


def machine_line(machine: dict[str, str]) -> str:
    """What the figures were measured on, in one paragraph."""
    return "Measured on: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."


def _line(row: Row) -> str:
    ours = "<br>".join(_figure(figure) for figure in row.figures)
    targets = "<br>".join(_limit(figure) for figure in row.figures)
    verdict = {True: "met", False: "**NOT met**", None: "-"}[row.met]
    hand = "-" if row.by_hand is None else show(row.by_hand, "x")
    peers = "<br>".join(peer.text() for peer in row.peers) or "-"
    cells = (row.operation, ours, targets, verdict, hand, peers, row.reference)
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _figure(figure: Figure) -> str:
    least = "" if figure.least is None else f"; {show(figure.least, figure.unit)}"
    return f"{figure.label}: {figure.text()}{least}"


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return "-"
    mark = "" if figure.met else " (missed)"
    return f"{'>=' if figure.at_least else '<='} {show(figure.limit, figure.unit)}{mark}"


def put_into(page: str, rows: list[Row], machine: dict[str, str]) -> str:
    """The page with everything between its two markers replaced by the table of this run."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("the page has no place for the table")
    return f"{before}{_BEGIN}\n{table(rows)}\n{machine_line(machine)}\n{_END}{after}"
