"""No secret comes as an argument: every user of the machine can read another's arguments (`ps`), and shells keep them.

This looks at the arguments before anything else does, so that no error message repeats one. What looks like a secret is
refused wherever it stands: a token, a client's secret, a private key, a header with credentials, a URL with a password.
"""

import re
from collections.abc import Sequence

from .failure import CommandError

#: Options that people try, and what to use.
_SECRET_OPTIONS: dict[str, str] = {
    **dict.fromkeys(
        ("--client-secret", "--secret", "--password"), "STRONGDM_CLIENT_SECRET in the environment or --credentials-file"
    ),
    **dict.fromkeys(("--token", "--access-token"), "--token-file FILE, --token-env NAME or standard input"),
    "--proof": "--proof-file FILE",
    "--dpop-nonce-secret": "STRONGDM_DPOP_NONCE_SECRET in the environment",
    "--key": "--key-file FILE",
    **dict.fromkeys(("--code", "--verification-code", "--enrollment-token"), "standard input or --code-file FILE"),
    **dict.fromkeys(("--poll-token",), "nothing: it is kept with the registration under way"),
}
_FILES = "a file, standard input or the environment (see --help)"
#: What a secret looks like, what it is called, and what to use.
_SECRETS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\."),
        "a token or a proof",
        "--token-file FILE, --proof-file FILE, --token-env NAME or standard input",
    ),
    (re.compile(r"(?<![\w./-])(?:sec|pt)_[A-Za-z0-9_-]{16,}(?![\w./-])"), "a secret of StrongDM ID's", _FILES),
    (
        re.compile(r"^\s*(?:proxy-)?(?:authorization|cookie|dpop)\s*:|^\s*(?:bearer|dpop|basic)\s+\S", re.IGNORECASE),
        "a header with credentials",
        "--headers-file FILE",
    ),
    (re.compile(r"://[^/?#\s]*@"), "a URL with a user or a password in it", _FILES),
    (
        re.compile(r"[?&#](?:access_token|id_token|refresh_token|client_secret|password|api_key)=", re.IGNORECASE),
        "a URL with a credential in it",
        _FILES,
    ),
    (re.compile(r'"(?:d|k)"\s*:\s*"[A-Za-z0-9_-]{16,}"|-----BEGIN [A-Z ]*PRIVATE KEY'), "a private key", "a file"),
)


def refuse_secrets(argv: Sequence[str]) -> None:
    """Raises CommandError if one of the arguments is, or has in it, what looks like a secret. It is not repeated."""
    for place, argument in enumerate(argv, 1):
        option, equals, value = argument.partition("=")
        if (name := option.lower().replace("_", "-")) in _SECRET_OPTIONS:
            _refuse(f"there is no {name}", _SECRET_OPTIONS[name])
        given = value if equals and option.startswith("--") else argument
        for pattern, name, instead in _SECRETS:
            if pattern.search(given):
                _refuse(f"argument {place} looks like {name}", instead)


def _refuse(what: str, instead: str) -> None:
    raise CommandError(
        f"{what}: secrets do not go on the command line, where other users can read them and the shell keeps them. "
        f"Use {instead}",
        status=2,
    )
