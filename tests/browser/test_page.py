"""The example as it is run: one command, and a page whose table is all as it should be."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import EXAMPLE


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """`PORT=0 python serve.py`: where its page is. It ends by SIGINT, as by Ctrl-C, and says so."""
    with subprocess.Popen(
        [sys.executable, "serve.py"],
        cwd=EXAMPLE,
        env={name: value for name, value in os.environ.items() if not name.startswith("STRONGDM_")} | {"PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        try:
            found = re.search(r"http://\S+", command.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            command.send_signal(signal.SIGINT)
            assert command.communicate(timeout=20)[0] == "Ended.\n"
            assert command.returncode == 0


@pytest.fixture(scope="module")
def visits(chromium: Any, served: str) -> list[tuple[str, list[list[str]]]]:
    """The page opened twice in one profile, each time in a new tab: the key's thumbprint, and the rows of its table."""
    context = chromium.new_context()
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(f"error {error.error}"))

    def visit() -> tuple[str, list[list[str]]]:
        page = context.new_page()
        page.goto(served)
        page.wait_for_selector("#verdict.good, #verdict.bad", timeout=60_000)
        cells = "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
        found = page.text_content("#key"), page.eval_on_selector_all("#results tr", cells)
        page.close()
        return found

    seen = [visit(), visit()]
    context.close()
    assert not [text for text in said if "Content Security Policy" in text or text.startswith("error")]
    return seen


@pytest.mark.parametrize("visit", [0, 1], ids=["at first", "again"])
def test_all_of_the_page_s_table_is_as_it_should_be(visit: int, visits: list[tuple[str, list[list[str]]]]) -> None:
    _, rows = visits[visit]
    assert len(rows) == 11
    assert [row for row in rows if row[-1] != "✓"] == []


def test_the_page_has_the_same_key_when_it_is_opened_again(visits: list[tuple[str, list[list[str]]]]) -> None:
    (first, _), (second, _) = visits
    assert len(first) == 43
    assert second == first


@pytest.mark.parametrize("name", ["serve.py", "README.md", "../demo.py", "%2e%2e/demo.py", "config.json/"])
def test_the_page_s_server_has_the_page_s_files_alone(name: str, site: Any) -> None:
    connection = http.client.HTTPConnection(site.origin.removeprefix("http://"))
    connection.request("GET", f"/{name}")
    assert connection.getresponse().status == 404
    connection.close()


def test_the_script_is_small_and_stands_alone() -> None:
    script = Path(EXAMPLE, "dpop.js").read_text(encoding="utf-8")
    assert len(script.splitlines()) <= 150
    assert "import " not in script
