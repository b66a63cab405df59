"""What can go wrong on the agent's side, as one tree of its own: nothing in it is a `StrongDMAuthError`.

    ClientError
    ├── TokenRequestFailed      the issuer gave no token, or no answer: error, description, status, retry_after
    ├── InsecureURL             credentials would go over plain http, or to an origin they are not for
    └── UnsafeFile              a file with secrets that others can read, or that is not where it seems to be

An API that calls other APIs lets these pass through its own views. Were they refusals, its error handler would tell the
caller, who is innocent, "401".
"""

from typing import NoReturn


class ClientError(Exception):
    """The root of the tree."""


class TokenRequestFailed(ClientError):
    """The issuer refused (RFC 6749 5.2), could not be reached, or answered with something else than it was asked for.

    `error` is the issuer's code, or one of ours: `unreachable`, `invalid_answer`. No secret is ever part of the text.
    """

    def __init__(
        self, error: str, description: str = "", status: int | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(error, description, status)
        self.error = error
        self.description = description
        #: The HTTP status; None when it did not come to one.
        self.status = status
        #: Seconds after which the issuer lets itself be asked again, where it said so.
        self.retry_after = retry_after

    def __str__(self) -> str:
        status = "" if self.status is None else f" (status {self.status})"
        return f"{self.error}: {self.description}{status}" if self.description else f"{self.error}{status}"


class InsecureURL(ClientError, ValueError):
    """Credentials must not go to this URL."""


class UnsafeFile(ClientError, OSError):
    """A file with secrets is not safe to read from or to write to; the message says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


def invalid_answer(description: str, status: int | None = None) -> NoReturn:
    """The issuer said something that cannot be worked with."""
    raise TokenRequestFailed("invalid_answer", description, status)
