"""Every `strongdm-auth ...` that a page has its reader type is one that the command understands."""

import argparse

import pytest

from strongdm_auth.cli import COMMANDS, _parser
from strongdm_auth.cli.argv import refuse_secrets

from .pages import Page, every_page

TYPED = [(page, argv) for page in every_page() for argv in page.commands("strongdm-auth")]


@pytest.mark.parametrize(("page", "argv"), TYPED, ids=[f"{page.name}: {' '.join(argv)[:60]}" for page, argv in TYPED])
def test_a_command_parses(page: Page, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    refuse_secrets(argv)
    try:
        arguments = _parser(argv).parse_args(argv)
    except SystemExit:
        pytest.fail(f"{page.name}: strongdm-auth {' '.join(argv)}\n{capsys.readouterr().err}")
    assert isinstance(arguments, argparse.Namespace)


def test_they_are_found() -> None:
    assert len(TYPED) > 30
    assert {argv[0] for _, argv in TYPED} == set(COMMANDS)
