"""A real Chromium, a page's origin, an issuer and APIs, each on a port of its own. Without a Chromium the tests are skipped.

CHROMIUM names one; else it is looked for on the PATH. Nothing is downloaded.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from strongdm_auth.testing import Client, Issuer
from tests.browser.apis import API, AUDIENCE, ORDINARY, Origins, fastapi_behind_cors

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Not STRONGDM_...: the library would take that for a setting of its own.
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

MakeAPI = Callable[..., API]


@pytest.fixture(scope="package")
def serve() -> ModuleType:
    """examples/browser/serve.py"""
    spec = importlib.util.spec_from_file_location("examples_browser_serve", EXAMPLE / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """For this package only: while Playwright is there, this thread has an event loop, which other tests would trip over."""
    if CHROMIUM is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH, and CHROMIUM names none")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sandboxed = not hasattr(os, "geteuid") or os.geteuid() != 0  # as root Chromium starts without its sandbox only
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[] if sandboxed else ["--no-sandbox"], headless=True
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(serve: ModuleType) -> Iterator[Any]:
    """The example's files on the page's origin, and on another one."""
    with serve.Page().serving() as page:
        yield page


@pytest.fixture(scope="package")
def local_issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme",)).serve() as issuer:
        yield issuer


@pytest.fixture(scope="package")
def page_client(local_issuer: Issuer) -> Client:
    return local_issuer.client("page", scopes="read write", realm="acme")


@pytest.fixture(scope="package")
def origins() -> Iterator[Origins]:
    with Origins().running() as origins:
        yield origins


@pytest.fixture(scope="package")
def make_api(local_issuer: Issuer, site: Any, origins: Origins) -> MakeAPI:
    """Serves an API that lets pages of `site` in; `build` says how CORS is added, keywords change CORS."""

    def make(build: Any = fastapi_behind_cors, /, *, settings: Any = (), **cors: Any) -> API:
        trusted = {"issuer": local_issuer.url, "realms": ["acme"], "audience": AUDIENCE, "dpop_nonce": "required"}
        return origins.serve(*build(trusted | dict(settings), {"allow_origins": [site.origin], **ORDINARY, **cors}))

    return make


@pytest.fixture(scope="package")
def api(make_api: MakeAPI) -> API:
    """The API of the documentation: FastAPI, CORS around it, a nonce in every proof."""
    return make_api()


class Tab:
    """A tab of the page's origin, with the example's script in it."""

    def __init__(self, page: Any, site: Any, issuer: Issuer, client: Client) -> None:
        self.page, self._site = page, site
        self._token_url = f"{issuer.issuer_url('acme')}/token"
        self._form = {"grant_type": "client_credentials", "audience": AUDIENCE}
        self._form |= {"client_id": client.client_id, "client_secret": client.client_secret}

    def open(self, *origins: str, at: str | None = None) -> None:
        """Be on a page with a new `dpop` in it, whose token may go to `origins`; the first one is `api`."""
        url = f"{at or self._site.origin}/stranger.html"
        if self.page.url != url:
            self.page.goto(url)
        self.page.evaluate(
            """async ({ origins, tokenUrl, form }) => {
                 Object.assign(window, await import("/dpop.js"));
                 window.api = origins[0];
                 window.key = await loadKey();
                 window.newDPoP = (newToken) => new DPoP(key, { origins, newToken });
                 window.dpop = newDPoP((dpop) => dpop.requestToken(tokenUrl, form));
               }""",
            {"origins": origins, "tokenUrl": self._token_url, "form": self._form},
        )

    def run(self, script: str, argument: object = None) -> Any:
        """What an async function with this body returns; `given` is the argument."""
        return self.page.evaluate(f"async (given) => {{ {script} }}", argument)

    def status(self, expression: str, argument: object = None) -> Any:
        """The status of the answer, or the name of the error where the script gets none to read."""
        script = f"return await ({expression}).then((answer) => answer.status, (error) => error.name)"
        return self.run(script, argument)


@pytest.fixture(scope="package")
def profile(chromium: Any) -> Iterator[Any]:
    """One for all tests, since a new one takes a second. The site's own policy (CSP) would let it reach nothing here."""
    context = chromium.new_context(bypass_csp=True)
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(profile: Any, api: API, site: Any, local_issuer: Issuer, page_client: Client) -> Tab:
    tab = Tab(profile, site, local_issuer, page_client)
    tab.open(api.url)
    api.take()
    return tab
