"""The list of checks: complete, and the same story that the verifier tells."""

import argparse
import time
from collections.abc import Iterator

import pytest

from strongdm_auth import Request
from strongdm_auth.cli.advice import ADVICE
from strongdm_auth.cli.checks import INTROSPECTION, JWT, NOT_OF_THE_STORY, Check, failing, story, ticked
from strongdm_auth.cli.evidence import _EVIDENCE
from strongdm_auth.cli.setting_options import FLAGS, WITHOUT_FLAG, read_settings
from strongdm_auth.cli.verdict import Exchanges, judge
from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.settings import Settings
from strongdm_auth.testing import Issuer
from tests.contract import BASE, ROUTES, Answer, Case, World
from tests.contract_cases import BAD

STORY = story(opaque=False)


def named(name: str) -> Check:
    return next(check for check in STORY if check.name == name)


def test_every_reason_belongs_to_a_check_and_has_advice() -> None:
    assert set(ADVICE) == set(DESCRIPTIONS)
    told = {reason for check in STORY for reason in check.reasons}
    assert told == set(DESCRIPTIONS) - NOT_OF_THE_STORY


def test_every_check_has_one_name_and_evidence_is_for_checks_that_exist() -> None:
    names = [check.name for check in STORY]
    assert len(set(names)) == len(names)
    assert set(_EVIDENCE) <= set(names)


def test_the_steps_are_in_order() -> None:
    steps = [check.step for check in STORY]
    assert steps == sorted(steps)
    assert set(steps) == set(range(1, 11))


@pytest.mark.parametrize(
    ("reason", "asked", "in_route", "name"),
    [
        ("token.type", set(), False, "typ"),
        ("token.type", {"discovery", "jwks"}, False, "kind"),
        ("token.type", {"discovery", "jwks", "introspection"}, False, "introspection"),
        ("token.issuer", set(), False, "issuer"),
        ("token.issuer", {"discovery"}, False, "keys"),
        ("token.unbound", {"jwks"}, False, "binding"),
        ("token.unbound", {"jwks"}, True, "route: dpop"),
        ("token.expired", {"jwks"}, False, "exp"),
        ("token.expired", {"jwks", "introspection"}, True, "introspection"),
        ("token.audience", {"jwks"}, False, "aud"),
        ("token.inactive", {"introspection"}, False, "introspection"),
    ],
)
def test_a_reason_that_two_checks_share_is_told_apart(reason: str, asked: set[str], in_route: bool, name: str) -> None:
    assert failing(reason, STORY, asked, in_route=in_route) is named(name)


def test_what_comes_before_passed_and_what_comes_after_was_not_reached() -> None:
    results = {check.name: result for check, result in ticked(STORY, named("exp"), {"aud", "nonce"})}
    assert results["signature"] == "pass"
    assert results["exp"] == "fail"
    assert results["kind"] == "not reached"
    assert results["aud"] == results["nonce"] == "not asked"


def test_an_opaque_token_has_a_story_of_its_own() -> None:
    names = [check.name for check in story(opaque=True)]
    assert "signature" not in names
    assert names.index(INTROSPECTION.name) < names.index("binding")
    assert failing("token.opaque", JWT, ()) is named("form")


def test_every_setting_has_a_flag_but_secrets_and_code() -> None:
    assert set(FLAGS) == set(Settings.__annotations__) - WITHOUT_FLAG


def test_every_flag_is_read() -> None:
    given = {
        "issuer": "https://id.example.com",
        "realms": "a,b",
        "audience": "x,y",
        "algorithms": "ES256",
        "token_profile": "rfc9068",
        "leeway": "1",
        "dpop": "required",
        "dpop_algorithms": "ES256",
        "dpop_proof_max_age": "2",
        "dpop_nonce": "required",
        "replay_store": "memory://",
        "introspection": "off",
        "introspection_ttl": "3",
        "client_id": "me",
        "public_url": "https://a.example",
        "resource": "https://a.example/",
        "jwks_max_age": "4",
        "jwks_stale": "5",
        "jwks_cooldown": "6",
        "http_timeout": "7",
        "max_token_bytes": "300",
        "client_certificate": "header:X-Client-Cert",
        "trusted_proxies": "10.0.0.0/8",
        "trust_domains": "a.example",
        "security_events": "/events",
        "unsafe_show_reasons": "false",
        "unsafe_allow_http": "false",
    }
    assert set(given) == set(FLAGS)
    read = read_settings(argparse.Namespace(**{f"setting_{name}": value for name, value in given.items()}))
    assert read.settings.realms == {"a", "b"}
    assert read.settings.max_token_bytes == 300
    assert read.origins["dpop_nonce"] == "--dpop-nonce"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


#: All but what `explain` cannot see: what was sent before.
SEEN_FROM_OUTSIDE = [case for case in BAD if not case.sent_before and "on_event" not in case.settings]


@pytest.mark.parametrize("case", SEEN_FROM_OUTSIDE, ids=lambda case: case.name)
def test_the_verdict_on_a_case_of_the_contract_is_the_contract_s_answer(case: Case, world: World) -> None:
    headers = case.send(world)
    if case.before is not None:
        case.before(world, headers)
    exchanges, requirement = Exchanges(), ROUTES[case.path]
    settings = Settings(**world.settings(**case.settings), on_event=exchanges)
    url = f"{BASE}{case.path}" + (f"?{case.query}" if case.query else "")
    now = time.time()
    try:
        verdict = judge(settings, Request(case.method, url, headers), requirement, now, exchanges, own_store=True)
    finally:
        world.issuer.heal()
    denial = verdict.denial
    assert denial is not None
    case.check(Answer.of(denial.status, list(denial.headers), denial.body))
    results = [line.result for line in verdict.lines if line.result != "not asked"]
    failed = "cannot tell" if denial.status == 503 else "fail"
    assert results.count(failed) == 1
    place = results.index(failed)
    assert set(results[:place]) <= {"pass"}
    assert set(results[place + 1 :]) <= {"not reached"}
    assert verdict.advice
    assert verdict.status == (2 if denial.status == 503 else 1)
