"""examples/browser/dpop.js in a real browser, against a real API: the key, nonces, what is signed, who may have the token."""

from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from strongdm_auth.testing import DPoPKey, Issuer
from tests.browser.apis import API, ORDINARY, Origins, always_wants_a_nonce, token_endpoint_with_nonces
from tests.browser.conftest import MakeAPI, Tab

THUMBPRINT = "return (await (await dpop.fetch(`${api}/agent-info`)).json()).key_thumbprint"


def token_requests(issuer: Issuer) -> int:
    return issuer.requests.count(("POST", "/realms/acme/token"))


# The key


@pytest.mark.parametrize("format", ["jwk", "pkcs8"])
def test_no_script_can_read_the_private_key(format: str, tab: Tab) -> None:
    export = "crypto.subtle.exportKey(given, key.privateKey).then(() => 'the key', (error) => error.name)"
    assert tab.run(f"return await {export}", format) == "InvalidAccessError"
    assert tab.run("return JSON.stringify([dpop, key.privateKey])") == '[{"nonces":{}},{}]'


def test_the_key_survives_a_reload_and_the_token_is_bound_to_it(api: API, tab: Tab) -> None:
    public = ECKey.import_key(tab.run("return await crypto.subtle.exportKey('jwk', key.publicKey)"))
    assert tab.run(THUMBPRINT) == public.thumbprint()
    tab.page.reload()
    tab.open(api.url)
    assert tab.run(THUMBPRINT) == public.thumbprint()


def test_a_key_that_was_forgotten_is_gone(api: API, tab: Tab) -> None:
    before = tab.run(THUMBPRINT)
    tab.run("await forgetKey()")
    tab.open(api.url)
    assert tab.run(THUMBPRINT) != before


def test_two_tabs_that_make_a_key_at_once_get_the_same(tab: Tab) -> None:
    """The second one's key is made, but kept only after the first has got its own."""
    script = """
        const generate = crypto.subtle.generateKey;
        let calls = 0;
        crypto.subtle.generateKey = async (...how) => {
            const late = calls++ > 0;
            const made = await generate.apply(crypto.subtle, how);
            if (late) await first;
            return made;
        };
        const first = loadKey("new"), second = loadKey("new");
        const pairs = [await first, await second, await loadKey("new")];
        crypto.subtle.generateKey = generate;
        const publics = pairs.map(({ publicKey }) => crypto.subtle.exportKey("jwk", publicKey));
        return [calls, ...(await Promise.all(publics)).map(({ x }) => x)]"""
    calls, first, second, kept = tab.run(script)
    assert calls == 2
    assert first == second == kept


# Nonces


def test_the_first_call_is_made_again_with_the_nonce_and_the_next_one_has_it(api: API, tab: Tab) -> None:
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    first, second = api.take()
    assert "nonce" not in first.proof
    assert second.proof["nonce"] == tab.run("return dpop.nonces.get(api)")
    assert second.proof["jti"] != first.proof["jti"]
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    assert len(api.take()) == 1


def test_a_nonce_that_a_good_answer_renews_is_taken_up(api: API, tab: Tab) -> None:
    old = api.old_nonce(200)
    tab.run("dpop.nonces.set(api, given)", old)
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    first, second = api.take()
    assert first.proof["nonce"] == old
    assert second.proof["nonce"] != old


def test_a_nonce_that_is_too_old_costs_one_more_request(api: API, tab: Tab) -> None:
    tab.run("dpop.nonces.set(api, given)", api.old_nonce(400))
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    assert len(api.take()) == 2


def test_an_api_that_is_never_content_is_asked_twice(origins: Origins, site: Any, tab: Tab) -> None:
    api = origins.serve(always_wants_a_nonce({"allow_origins": [site.origin], **ORDINARY}))
    tab.open(api.url)
    assert tab.status("dpop.fetch(`${api}/protected`)") == 401
    assert [one.proof.get("nonce") for one in api.take()] == [None, "n0"]


def test_a_token_endpoint_may_want_a_nonce_of_its_own(origins: Origins, site: Any, tab: Tab) -> None:
    endpoint = origins.serve(token_endpoint_with_nonces({"allow_origins": [site.origin], **ORDINARY}))
    tab.run("dpop.nonces.set(api, 'of-the-api')")
    request = "dpop.requestToken(`${given}/token`, { grant_type: 'refresh_token' })"
    assert tab.run(f"return await {request}", endpoint.url) == {"access_token": "token", "token_type": "DPoP"}
    assert [one.proof.get("nonce") for one in endpoint.take()] == [None, "of-the-issuer"]
    assert tab.run("return dpop.nonces.get(api)") == "of-the-api"


# What is signed


@pytest.mark.parametrize(
    "url",
    ["`${api}/protected?page=2&sort=a%2Fb#top`", "`${api}/./x/../protected?`", "new URL('/protected#', api)"],
)
def test_a_proof_is_for_the_url_without_query_and_fragment(url: str, api: API, tab: Tab) -> None:
    assert tab.status(f"dpop.fetch({url})") == 200
    assert api.take()[-1].proof["htu"] == f"{api.url}/protected"


def test_a_body_arrives_although_the_first_attempt_was_refused(api: API, tab: Tab) -> None:
    post = "{ method: 'post', headers: { 'Content-Type': 'application/json' }, body: '{\"note\": \"hello\"}' }"
    assert tab.run(f"return await (await dpop.fetch(`${{api}}/protected`, {post})).json()") == {"note": "hello"}
    assert [(one.method, one.proof["htm"]) for one in api.take()] == [("POST", "POST")] * 2


def test_a_request_object_is_sent_with_its_own_headers(api: API, tab: Tab) -> None:
    assert tab.status("dpop.fetch(new Request(`${api}/protected`, { headers: { Accept: 'text/x' } }))") == 200
    assert {one.headers["accept"] for one in api.take()} == {"text/x"}


def test_calls_at_once_share_one_token_and_no_proof(api: API, local_issuer: Issuer, tab: Tab) -> None:
    before = token_requests(local_issuer)
    calls = "Array.from({ length: 8 }, () => dpop.fetch(`${api}/protected`))"
    assert tab.run(f"return (await Promise.all({calls})).map(({{ status }}) => status)") == [200] * 8
    assert token_requests(local_issuer) - before == 1
    proofs = [one.proof["jti"] for one in api.take()]
    assert len(set(proofs)) == len(proofs)


def test_a_stream_of_events_is_read_by_fetch(api: API, tab: Tab) -> None:
    script = """
        const answer = await dpop.fetch(`${api}/events`, { headers: { Accept: "text/event-stream" } });
        let text = "";
        for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) text += piece;
        return text"""
    assert tab.run(script) == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_a_websocket_of_a_page_does_not_open(api: API, tab: Tab) -> None:
    """The browser's WebSocket cannot send the headers, and nothing else is taken for them."""
    script = """
        const socket = new WebSocket(api.replace("http", "ws") + "/socket", ["bearer", await dpop.token()]);
        return await new Promise((resolve) => {
            for (const kind of ["open", "close"]) socket.addEventListener(kind, () => resolve(kind));
        })"""
    assert tab.run(script) == "close"
    assert [one.method for one in api.take()] == ["WEBSOCKET"]


# The token


def test_a_proof_is_good_once(tab: Tab) -> None:
    tab.run("await dpop.fetch(`${api}/protected`)")
    script = """
        const token = await dpop.token();
        const headers = { Authorization: `DPoP ${token}`, DPoP: await dpop.proof("GET", `${api}/protected`, token) };
        const answers = [await fetch(`${api}/protected`, { headers }), await fetch(`${api}/protected`, { headers })];
        return answers.map((answer) => [answer.status, challenged(answer) ?? null])"""
    assert tab.run(script) == [[200, None], [401, "invalid_dpop_proof"]]


def test_a_token_that_was_copied_out_of_the_page_is_worth_nothing(api: API, tab: Tab) -> None:
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    token, nonce = tab.run("return [await dpop.token(), dpop.nonces.get(api)]")
    url, thief = f"{api.url}/protected", DPoPKey.generate()
    another_key = {"Authorization": f"DPoP {token}", "DPoP": thief.proof("GET", url, token, nonce=nonce)}
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"DPoP {token}"}, another_key):
        assert httpx.get(url, headers=headers).status_code == 401
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200, "the page itself is none the worse"


def test_a_token_is_in_no_url_and_in_no_storage(api: API, tab: Tab) -> None:
    tab.page.reload()
    tab.open(api.url)
    tab.run("await (await dpop.fetch(`${api}/protected?page=2`)).text()")
    names = "performance.getEntries().map(({ name }) => name)"
    tab.page.wait_for_function(f"() => {names}.some((name) => name.endsWith('?page=2'))", timeout=5_000)
    kept = tab.run(f"return [...{names}, JSON.stringify([localStorage, sessionStorage])]")
    token = tab.run("return await dpop.token()")
    assert not any(token in text for text in kept)


def test_a_token_goes_to_the_origins_that_were_named_alone(make_api: MakeAPI, api: API, tab: Tab) -> None:
    other = make_api()
    there = f"{other.url}/protected"
    assert tab.status("dpop.fetch(given)", there) == "TypeError"
    assert tab.status("dpop.fetch(`${api}/away?to=${encodeURIComponent(given)}`)", there) == "TypeError"
    assert other.asked == []
    tab.open(api.url, other.url)
    assert tab.status("dpop.fetch(given)", there) == 200


def test_a_token_that_was_revoked_is_replaced_once(api: API, tab: Tab) -> None:
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    old = tab.run("return await dpop.token()")
    httpx.post(f"{api.url}/revoke", content=old).raise_for_status()
    api.take()
    assert tab.status("dpop.fetch(`${api}/protected`)") == 200
    assert len(api.take()) == 2
    assert tab.run("return await dpop.token()") != old


def test_a_new_token_that_is_refused_stays_refused(api: API, tab: Tab) -> None:
    script = """
        let times = 0;
        const dpop = newDPoP(async () => ({ access_token: `bad${++times}`, token_type: "DPoP", expires_in: 3600 }));
        const statuses = [];
        for (let call = 0; call < 2; call++) statuses.push((await dpop.fetch(`${api}/protected`)).status);
        return [statuses, times]"""
    # The second call finds a token that was there before, so it may ask for one more.
    assert tab.run(script) == [[401, 401], 2]
    assert len(api.take()) == 3


@pytest.mark.parametrize(("seconds", "tokens"), [(3600, 1), (31, 1), (29, 2)])
def test_a_token_is_renewed_before_it_ends(seconds: int, tokens: int, tab: Tab) -> None:
    script = """
        let times = 0;
        const dpop = newDPoP(async () => ({ access_token: `${++times}`, token_type: "DPoP", expires_in: given }));
        await dpop.token();
        await dpop.token();
        return times"""
    assert tab.run(script, seconds) == tokens


def test_an_issuer_that_binds_no_token_is_noticed(tab: Tab) -> None:
    script = """
        const dpop = newDPoP(async () => ({ access_token: "token", token_type: "Bearer" }));
        return await dpop.token().then(() => "a token", (error) => error.message)"""
    assert tab.run(script) == "the issuer gave a Bearer token, which no key protects"


def test_the_issuer_s_refusal_is_told(local_issuer: Issuer, tab: Tab) -> None:
    script = """return await dpop.requestToken(given, { grant_type: "client_credentials", client_id: "x", client_secret: "y" })
        .then(() => "a token", (error) => error.message)"""
    assert tab.run(script, f"{local_issuer.issuer_url('acme')}/token") == "the issuer refused: invalid_client"
