"""What CORS lets a page do and read, for each way in which an app's author may add it: a real browser enforces it."""

from typing import Any

import pytest

from strongdm_auth.testing import Issuer
from tests.browser.apis import API, asgi_around_cors, asgi_behind_cors, fastapi_around_cors, fastapi_behind_cors
from tests.browser.conftest import MakeAPI, Tab


@pytest.mark.parametrize("build", [fastapi_behind_cors, asgi_behind_cors])
def test_a_preflight_brings_no_credentials_and_asks_for_both_headers(build: Any, make_api: MakeAPI, tab: Tab) -> None:
    api = make_api(build)
    tab.open(api.url)
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    preflight, *requests = api.asked
    assert preflight.method == "OPTIONS"
    assert preflight.headers["access-control-request-headers"] == "authorization,dpop"
    assert not {"authorization", "dpop"} & preflight.headers.keys()
    assert all({"authorization", "dpop"} <= request.headers.keys() for request in requests)


def test_a_page_of_another_origin_cannot_send_its_token(make_api: MakeAPI, site: Any, tab: Tab) -> None:
    api = make_api()
    tab.open(api.url, at=site.stranger)
    assert tab.run("return await dpop.token()"), "the issuer gives tokens to any page"
    assert tab.status("dpop.fetch(`${api}/protected`)") == "TypeError"
    assert [one.method for one in api.asked] == ["OPTIONS"], "the browser stops there"


def test_a_page_of_another_origin_cannot_read_a_refusal(api: API, site: Any, tab: Tab) -> None:
    tab.open(api.url, at=site.stranger)
    assert tab.status("fetch(`${api}/protected`)") == "TypeError"
    assert [one.method for one in api.take()] == ["GET"], "a request without headers of its own needs no preflight"


@pytest.mark.parametrize(
    ("build", "cors"),
    [
        (fastapi_behind_cors, {}),
        (fastapi_behind_cors, {"expose_headers": []}),
        (fastapi_around_cors, {}),
        (fastapi_around_cors, {"expose_headers": []}),
        (asgi_behind_cors, {}),
        (asgi_behind_cors, {"expose_headers": []}),
    ],
    ids=lambda part: part.__name__ if callable(part) else "what ours exposes" if part else "as documented",
)
def test_a_script_reads_challenges_and_nonces(build: Any, cors: dict[str, Any], make_api: MakeAPI, tab: Tab) -> None:
    api = make_api(build, **cors)
    tab.open(api.url)
    challenge = tab.run("return (await fetch(`${api}/protected`)).headers.get('WWW-Authenticate')")
    assert challenge == 'Bearer realm="api", DPoP algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"'
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200, "by the nonce of a refusal"
    old = api.old_nonce(200)
    call = "dpop.nonces.set(api, given); await dpop.fetch(`${api}/protected`); return dpop.nonces.get(api)"
    assert tab.run(call, old) != old


@pytest.mark.parametrize("build", [fastapi_behind_cors, fastapi_around_cors, asgi_behind_cors])
def test_a_list_of_exposed_headers_that_leaves_ours_out_hides_them(build: Any, make_api: MakeAPI, tab: Tab) -> None:
    """The CORS middleware's list replaces what refusals bring along: docs/browsers.md says to name both."""
    tab.open(make_api(build, expose_headers=["X-Total-Count"]).url)
    assert tab.run("return (await fetch(`${api}/protected`)).headers.get('WWW-Authenticate')") is None
    assert tab.status("dpop.fetch(`${api}/protected`)") == 401


def test_refusals_of_a_middleware_around_cors_cannot_be_read(make_api: MakeAPI, tab: Tab) -> None:
    """Why docs/browsers.md puts CORS outside. FastAPI's dependency refuses within, so that both orders do there."""
    tab.open(make_api(asgi_around_cors).url)
    assert tab.status("dpop.fetch(`${api}/protected`)") == "TypeError"


def test_a_method_must_be_let_in_even_if_forms_could_send_it(make_api: MakeAPI, tab: Tab) -> None:
    """Starlette refuses a preflight for a POST that is not in its list, which is GET alone by default."""
    tab.open(make_api(allow_methods=["GET"]).url)
    assert tab.status("dpop.fetch(`${api}/protected`, { method: 'POST', body: '{}' })") == "TypeError"
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200


@pytest.mark.parametrize("build", [fastapi_behind_cors, fastapi_around_cors, asgi_behind_cors, asgi_around_cors])
def test_the_metadata_document_can_be_read_from_any_origin(build: Any, make_api: MakeAPI, site: Any, tab: Tab) -> None:
    api = make_api(build, settings={"resource": "https://api.example.com"})
    tab.open(api.url, at=site.stranger)
    document = "(await fetch(`${api}/.well-known/oauth-protected-resource`)).json()"
    assert tab.run(f"return (await {document}).resource") == "https://api.example.com"


def test_an_outage_can_be_read_and_waited_out(local_issuer: Issuer, make_api: MakeAPI, tab: Tab) -> None:
    api = make_api(expose_headers=["WWW-Authenticate", "DPoP-Nonce", "Retry-After"])
    tab.open(api.url)
    tab.run("await dpop.token()")
    local_issuer.fail(path="/jwks")
    try:
        call = "const { status, headers } = await dpop.fetch(`${api}/protected`)"
        status, wait = tab.run(f"{call}; return [status, headers.get('Retry-After')]")
    finally:
        local_issuer.heal()
    assert (status, int(wait) > 0) == (503, True)
