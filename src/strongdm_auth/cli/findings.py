"""What `doctor` finds: fine, doubtful or wrong, each with what to do about it."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: Level
    topic: str
    text: str
    advice: str = ""


def ok(topic: str, text: str) -> Finding:
    return Finding("ok", topic, text)


def warning(topic: str, text: str, advice: str = "") -> Finding:
    return Finding("warning", topic, text, advice)


def problem(topic: str, text: str, advice: str = "") -> Finding:
    return Finding("problem", topic, text, advice)
