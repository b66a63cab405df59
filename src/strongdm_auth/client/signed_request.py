"""A request of httpx or httpx2 whose proof does not follow a redirect.

Both follow redirects below their auth flow, and copy the headers; they drop `Authorization` where the origin changes, but know
nothing of `DPoP`. The proof therefore stands where a copy of the headers does not take it along: it goes out with the
request that it was made for and with no other. A redirect within the origin comes back refused, and is signed anew.
"""

from typing import Any


def signed_request_class(library: Any) -> Any:
    """A request class of this library, httpx or httpx2, whose headers lose the proof when they are copied."""

    class SignedHeaders(library.Headers):  # type: ignore[misc]
        """Headers with a proof on top. Whoever reads them sees it; `Headers(these)`, as redirects do it, has it not."""

        proof: str | None = None

        def _all(self) -> Any:
            # `raw` is what transports send; everything else reads from what it holds.
            return library.Headers(self.raw)

        @property
        def raw(self) -> list[tuple[bytes, bytes]]:
            own: list[tuple[bytes, bytes]] = super().raw
            return own if self.proof is None else [*own, (b"DPoP", self.proof.encode("ascii"))]

        def keys(self) -> Any:
            return self._all().keys()

        def values(self) -> Any:
            return self._all().values()

        def items(self) -> Any:
            return self._all().items()

        def multi_items(self) -> Any:
            return self._all().multi_items()

        def get_list(self, key: str, split_commas: bool = False) -> Any:  # noqa: FBT001, FBT002, RUF100
            return self._all().get_list(key, split_commas)

        def __getitem__(self, key: str) -> Any:
            return self._all()[key]

        def __contains__(self, key: object) -> bool:
            return key in self._all()

        def __len__(self) -> int:
            return len(self.raw)

        def __delitem__(self, key: str) -> None:
            if key.lower() == "dpop" and self.proof is not None:
                self.proof = None
            else:
                super().__delitem__(key)

    class SignedRequest(library.Request):  # type: ignore[misc]
        """A request with credentials."""

        def __init__(self, request: Any, authorization: str, proof: str | None) -> None:
            self._proof = proof
            headers = library.Headers(request.headers)
            headers["Authorization"] = authorization
            super().__init__(
                request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
            )
            if is_loaded(library, request):
                self.read()

        @property
        def headers(self) -> Any:
            return self._headers

        @headers.setter
        def headers(self, headers: Any) -> None:
            # Instrumentation copies headers, adds its own and puts them back: the proof stays, once, and on top.
            self._headers = SignedHeaders(headers)
            self._headers.pop("DPoP", None)
            self._headers.proof = self._proof

    probe = SignedRequest(library.Request("GET", "https://localhost/"), "DPoP x", "proof").headers
    if "DPoP" in library.Headers(probe) or probe.get("DPoP") != "proof":
        raise RuntimeError(
            f"this version of {library.__name__} copies headers in a way that would send proofs elsewhere"
        )
    return SignedRequest


def is_loaded(library: Any, request: Any) -> bool:
    """Whether the request's body is all there, and can be sent once more."""
    try:
        request.content  # noqa: B018
    except library.RequestNotRead:
        return False
    return True
