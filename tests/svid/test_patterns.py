"""Which SPIFFE IDs a route lets in: one, or all below a path, and no other wildcard."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongdm_auth import ConfigurationError, Requirement, SecurityWarning, Settings
from strongdm_auth.routes import RouteTable
from strongdm_auth.spiffe import LONGEST_ID, SpiffePattern, spiffe_patterns, trust_domain_of

BILLING = "spiffe://a.example/agents/billing"


@pytest.mark.parametrize(
    ("pattern", "fitting", "not_fitting"),
    [
        (BILLING, [BILLING], [BILLING + "/x", BILLING + "2", BILLING[:-1], "spiffe://a.example/agents"]),
        (
            "spiffe://a.example/agents/*",
            [BILLING, BILLING + "/eu/1"],
            [
                "spiffe://a.example/agents",
                "spiffe://a.example/agents2/billing",
                "spiffe://a.example/Agents/billing",
                "spiffe://a.example/people/billing",
                "spiffe://a.example",
                "spiffe://b.example/agents/billing",
                "spiffe://a.example.b.example/agents/billing",
                "spiffe://b.example/a.example/agents/billing",
            ],
        ),
        ("spiffe://a.example/*", [BILLING], ["spiffe://a.example", "spiffe://a.example2/x", "spiffe://b.example/x"]),
        ("spiffe://a.example", ["spiffe://a.example"], [BILLING]),
        ("spiffe://a.example/a.b", ["spiffe://a.example/a.b"], ["spiffe://a.example/aXb"]),
        ("spiffe://a.example/a.b/*", ["spiffe://a.example/a.b/c"], ["spiffe://a.example/aXb/c"]),
    ],
)
def test_a_pattern_is_one_id_or_all_below_a_path(pattern: str, fitting: list[str], not_fitting: list[str]) -> None:
    made = SpiffePattern(pattern)
    assert [each for each in [*fitting, *not_fitting] if made.fits(each)] == fitting


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "/*",
        "a.example/agents",
        "https://a.example/agents",
        "spiffe://",
        "spiffe:///*",
        "spiffe://*",
        "spiffe://*/agents",
        "spiffe://*.example/agents",
        "spiffe://A.example/agents/*",
        "spiffe://a.example/",
        "spiffe://a.example/agents/",
        "spiffe://a.example//*",
        "spiffe://a.example/agents*",
        "spiffe://a.example/*/billing",
        "spiffe://a.example/*/*",
        "spiffe://a.example/agents/**",
        "spiffe://a.example/agents/?",
        "spiffe://a.example/agents/[ab]",
        "spiffe://a.example/../*",
        "spiffe://a.example/agents/* ",
        "spiffe://a.example/x spiffe://a.example/y",
        "spiffe://a.example/" + "x" * LONGEST_ID,
        None,
        5,
        b"spiffe://a.example/x",
    ],
)
@pytest.mark.parametrize("how", [lambda value: [value], lambda value: [BILLING, value]])
def test_what_is_no_pattern_is_found_at_start_up_and_the_fix_said(pattern: Any, how: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"end in /\* for all below: 'spiffe://example.org/agents/\*', not "
    ) as at:
        Requirement(spiffe_ids=how(pattern))
    assert repr(pattern)[:40] in str(at.value)


def test_a_string_is_one_pattern_and_in_route_tables_too() -> None:
    one = Requirement(spiffe_ids=BILLING)
    assert one.spiffe_ids == (frozenset({SpiffePattern(BILLING)}),) == Requirement(spiffe_ids=[BILLING]).spiffe_ids
    assert RouteTable({"/jobs": {"spiffe_ids": BILLING}}).find("/jobs/1") == one
    with pytest.raises(ConfigurationError, match="spiffe_ids"):
        RouteTable({"/jobs": {"spiffe_ids": "spiffe://a.example/*/x"}})
    assert Requirement(spiffe_ids=None).spiffe_ids == () == Requirement().spiffe_ids


_names = st.text("ab.-_0", min_size=1, max_size=3)
_steps = st.text("aB.-_0", min_size=1, max_size=3).filter(lambda step: step not in (".", ".."))
_ids = st.builds(lambda name, steps: "/".join(["spiffe:/", name, *steps]), _names, st.lists(_steps, max_size=3))
_patterns = st.builds(lambda text, all_below: text + "/*" * all_below, _ids, st.booleans())


@settings(deadline=None, database=None, derandomize=True, max_examples=150)
@given(_patterns, _ids, _steps)
def test_fits_is_what_it_says(pattern: str, spiffe_id: str, step: str) -> None:
    """Read as steps, and not as text: the same ID, or the same domain, all steps of the pattern, and at least one more."""
    made, stem = SpiffePattern(pattern), pattern.removesuffix("/*")
    for each in (spiffe_id, stem, stem + step, f"{stem}/{step}", f"{stem}/{step}/{step}", stem[:-1]):
        if trust_domain_of(each) is None:
            continue
        wanted, found = stem.split("/")[2:], each.split("/")[2:]
        below = len(found) > len(wanted) and all(one == two for one, two in zip(wanted, found, strict=False))
        assert made.fits(each) == (below if pattern.endswith("/*") else wanted == found)


@settings(deadline=None, database=None, derandomize=True, max_examples=100)
@given(st.text(), st.text("spife:/a.*?\n ", max_size=30))
def test_whatever_is_taken_for_a_pattern_is_made_of_an_id(text: str, tail: str) -> None:
    for each in (text, tail, "spiffe://a" + text, "spiffe://a" + tail, "spiffe://a/" + text + "/*"):
        try:
            (made,) = spiffe_patterns(each)
        except ConfigurationError:
            continue
        assert trust_domain_of(made.text.removesuffix("/*")) is not None
        assert made.text.count("*") == made.text.endswith("/*")


@pytest.mark.parametrize("nobody", [[], (), 5])
def test_a_route_for_no_workload_at_all_is_found_at_start_up(nobody: Any) -> None:
    with pytest.raises(ConfigurationError, match="spiffe_ids must name"):
        Requirement(spiffe_ids=nobody)


def test_domains_that_share_a_bundle_are_warned_of() -> None:
    """SPIFFE Trust Domain and Bundle 6.4: each key in it vouches for all of them."""
    with pytest.warns(SecurityWarning, match="one bundle for several domains"):
        Settings(audience="a", realms="a", trust_domains="a.example,b.example")
