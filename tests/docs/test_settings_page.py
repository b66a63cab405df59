"""docs/settings.md has one section for each setting, with the default that the code has."""

import re

import pytest

from strongdm_auth.settings import _FIELDS, _FORMER_NAMES

from .pages import page

PAGE = page("settings")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n\n(.*?)(?=^#|\Z)", PAGE.text, re.DOTALL | re.MULTILINE))


def shown(default: object) -> str:
    """A default as a person would write it into the environment."""
    if default is None or default == ():
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{', '.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("field", _FIELDS)
def test_a_setting_has_a_section_with_its_default(field: str) -> None:
    begins = f"Default: {shown(_FIELDS[field][0])}."
    assert field in SECTIONS, (
        f"docs/settings.md needs a section for {field!r}:\n### `{field}`\n\n{begins} What it means."
    )
    text = SECTIONS[field]
    assert text.startswith(begins), f"docs/settings.md, the section {field!r}, must begin with {begins!r}"
    assert len(text) > len(begins) + 20, f"docs/settings.md, the section {field!r}, does not say what it is for"


def test_no_section_is_left_over() -> None:
    extra = sorted(SECTIONS.keys() - _FIELDS.keys())
    assert extra == [], f"docs/settings.md has sections for what is no setting: {', '.join(extra)}"


def test_former_names_are_told() -> None:
    assert [name for name in _FORMER_NAMES if name not in PAGE.text] == []
