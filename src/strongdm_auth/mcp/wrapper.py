"""The outer ASGI wrapper: the whole HTTP request is authenticated here, where method, URL and proof can be seen.

Inside, an MCP server sees what it knows: a Bearer token, which `verify_token` recognises and does not verify again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import and_
from typing import Any

from strongdm_auth.asgi import (
    SLOT,
    ASGIApp,
    Receive,
    Scope,
    Send,
    answer,
    closing,
    received,
    receives,
    serves,
    with_headers,
    without_body,
    without_claims,
)
from strongdm_auth.credentials import read_credentials
from strongdm_auth.errors import Refused
from strongdm_auth.flow import VARY, Admission
from strongdm_auth.mcp.tokens import Presented, presenting
from strongdm_auth.mcp.tools import read_body, tools_called
from strongdm_auth.metadata import Metadata
from strongdm_auth.request import ScopeRequest
from strongdm_auth.requirement import Requirement
from strongdm_auth.routes import RouteTable
from strongdm_auth.settings import Settings
from strongdm_auth.verifier import AsyncVerifier

_CREDENTIALS = frozenset({b"authorization", b"dpop"})


class SenderConstrained:
    """What `StrongDMTokenVerifier.sender_constrained` gives. It decides nothing: the verifier and the route table do."""

    def __init__(
        self,
        app: ASGIApp,
        owner: object,
        verifier: AsyncVerifier,
        require: Requirement,
        exempt: Iterable[str],
        tools: Mapping[str, Requirement],
    ) -> None:
        self.app = app
        self.verifier = verifier
        self._owner = owner
        self._routes = RouteTable(None, require, exempt)
        self._metadata = _document(verifier.settings, require)
        self._tools = tools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, closing(self.verifier, send))
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if self._metadata is not None and serves(self._metadata, scope):
            return await answer(self._metadata, scope, send)
        scope = without_claims(scope, self.verifier.certificates)
        if receives(self.verifier, scope):
            return await answer(await received(self.verifier, scope, receive), scope, send)
        request = ScopeRequest(scope)
        requirement = self._routes.find(request.route_path)
        if requirement is not None and request.is_preflight:
            send, requirement = without_body(send), None
        if requirement is None:
            with presenting(Presented(self._owner)):
                return await self.app(scope, receive, send)
        kept: dict[Any, Admission] = scope.get(SLOT) or {}
        called: frozenset[str] = frozenset()
        try:
            admission = await self.verifier.admit(request, requirement, kept.get(self.verifier))
            if admission is not None and self._tools and request.method == "POST":
                body, receive = await read_body(receive)
                called = tools_called(body) & self._tools.keys()
                if called:
                    requirement = reduce(and_, (self._tools[name] for name in called), requirement)
                    admission = await self.verifier.admit(request, requirement, admission)
        except Refused as refusal:
            return await answer(self.verifier.denial(refusal, requirement), scope, send)
        if admission is None:
            with presenting(Presented(self._owner)):
                return await self.app(scope, receive, with_headers(send, (VARY,)))
        compact = read_credentials(request, self.verifier.settings.max_token_bytes).token
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _CREDENTIALS]
        headers.append((b"authorization", b"Bearer " + compact.encode("ascii")))
        inner = {**scope, "headers": headers, SLOT: {**kept, self.verifier: admission}}
        with presenting(Presented(self._owner, admission.token, compact, called)):
            return await self.app(inner, receive, with_headers(send, admission.headers))


def _document(settings: Settings, require: Requirement) -> Metadata | None:
    """The RFC 9728 document, with the scopes that a client needs for anything at all here, as MCP clients want to know."""
    document = Metadata.of(settings)
    scopes = require.scope_names()
    if document is None or not scopes:
        return document
    body = json.dumps({**json.loads(document.body), "scopes_supported": scopes})
    return replace(document, body=body.encode() + b"\n")
