"""docs/errors.md has one row for each reason, with the answer that the code gives and the advice that `explain` prints."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from strongdm_auth import errors
from strongdm_auth.cli.advice import ADVICE

from .pages import page

ROWS = [row for row in page("errors").rows() if len(row) == 5]
BY_REASON = {row[0].strip("`"): row for row in ROWS}
REFUSALS = {refusal.__name__: refusal for refusal in errors.REFUSALS}


def raised_as() -> dict[str, set[str]]:
    """Reason -> the answers that it goes out with, read from the calls in the source, such as `InvalidToken("token.type")`."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in REFUSALS:
                answer = f"{REFUSALS[name].status_code} `{REFUSALS[name].error}`"
                for part in ast.walk(call):
                    if isinstance(part, ast.Constant) and part.value in errors.DESCRIPTIONS:
                        found[part.value].add(answer)
    return found


RAISED_AS = raised_as()


@pytest.mark.parametrize("reason", errors.DESCRIPTIONS)
def test_a_reason_has_a_row(reason: str) -> None:
    answer = ", ".join(sorted(RAISED_AS.get(reason, {"STATUS `CODE`"})))
    wanted = f"| `{reason}` | {answer} | what it means | whose fault | {ADVICE.get(reason, 'what to do')} |"
    assert reason in BY_REASON, f"docs/errors.md needs a row for {reason!r}:\n{wanted}"
    _, said, means, fault, advice = BY_REASON[reason]
    assert means, f"docs/errors.md, the row {reason!r}, does not say what it means"
    assert fault, f"docs/errors.md, the row {reason!r}, does not say whose fault it is"
    if reason in RAISED_AS:
        assert said in RAISED_AS[reason], f"docs/errors.md, the row {reason!r}: the code answers {answer}"
    if reason in ADVICE:
        assert advice == ADVICE[reason], f"docs/errors.md, the row {reason!r}: `strongdm-auth explain` says otherwise"


def test_no_row_is_left_over() -> None:
    extra = sorted(BY_REASON.keys() - errors.DESCRIPTIONS.keys())
    assert extra == [], f"docs/errors.md has rows for reasons that are no more: {', '.join(extra)}"
    assert len(ROWS) == len(BY_REASON), "docs/errors.md has two rows for one reason"


def test_the_answers_are_read_from_the_source() -> None:
    """Nearly all of them: a reason that is handed on as an argument is not seen."""
    assert len(RAISED_AS) >= len(errors.DESCRIPTIONS) - 3
