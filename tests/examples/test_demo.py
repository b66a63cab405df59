"""The demo is the README's first command: it must work, and its exit code must tell."""

from types import ModuleType

import pytest


def test_every_answer_of_the_demo_is_as_it_should_be(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    printed = capsys.readouterr().out
    assert "Every answer is as it should be." in printed
    assert printed.count(" ok") >= 35 * len(demo.APPS)
    assert printed.count("reader, for it: ") == len(demo.APPS)
    chain = next(line for line in printed.splitlines() if '"actors": ' in line)
    assert '"subject": "alice@example.com", "actors": ["cli_scheduler", "cli_assistant"]' in chain


def test_the_demo_fails_when_an_answer_is_wrong(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_wrong_line(agents: object) -> list[object]:
        return [demo.Line("expects what it will not get", 200)]

    monkeypatch.setattr(demo.Agents, "lines", one_wrong_line)
    assert demo.main() == 1
    assert " NO" in capsys.readouterr().out
