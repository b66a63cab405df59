"""The command `strongdm-auth forward-auth`: the ASGI app behind uvicorn, in one process, on loopback.

Every path needs a valid token unless it was named with `--exempt`: the command knows nothing of the API that it guards. What
it cannot say (delegation, realms by path, several workers) is said in Python, in a module of the deployment's own.
"""

import argparse
import ipaddress
import socket
import sys

from strongdm_auth.errors import ConfigurationError
from strongdm_auth.requirement import ANY_TOKEN

from .conventions import CONVENTIONS

#: Seconds that an idle connection is kept: longer than proxies keep theirs (nginx and Envoy 60, Traefik 90), so that none of
#: them sends a question into a connection that is being closed, and refuses a good request for it.
KEEP_ALIVE = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("convention", choices=list(CONVENTIONS), help="the proxy that asks")
    parser.add_argument(
        "--public-url",
        metavar="URL",
        help="scheme and host that clients see, such as https://api.example.com (default: STRONGDM_PUBLIC_URL)",
    )
    parser.add_argument(
        "--origin-headers",
        nargs=2,
        metavar=("SCHEME", "HOST"),
        help="in the place of a public URL: the headers in which the proxy tells scheme and host",
    )
    parser.add_argument(
        "--protect",
        action="append",
        default=[],
        metavar="PATH=SCOPES",
        help="scopes that a path needs, and all below it, with commas between; may be repeated",
    )
    parser.add_argument(
        "--exempt", action="append", default=[], metavar="PATH", help="a path that needs nothing; may be repeated"
    )
    parser.add_argument("--path-prefix", default="", metavar="PATH", help="what Envoy puts before the path")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=9400, metavar="N", help="port, 0 for a free one (default: 9400)")
    parser.add_argument(
        "--unsafe-host",
        action="store_true",
        help="listen beyond loopback: whoever gets there, past the proxy, can try tokens and use up proofs",
    )
    parser.add_argument(
        "--unsafe-pass-preflights",
        action="store_true",
        help="let CORS preflights through: an upstream that does not look at the method serves its page to them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop. 1: cannot be served; 2: the call or a setting is wrong."""
    if not arguments.unsafe_host and not _is_loopback(arguments.host):
        return _fail(2, f"{arguments.host} is not a loopback address; add --unsafe-host if it must be that")
    try:
        import uvicorn
    except ImportError:
        return _fail(1, "uvicorn is needed to serve: pip install 'strongdm-auth[demo]'")
    from .asgi import ForwardAuth

    given = {} if arguments.public_url is None else {"public_url": arguments.public_url}
    try:
        app = ForwardAuth(
            arguments.convention,
            protected_routes=dict(map(_protected, arguments.protect)),
            require=ANY_TOKEN,
            exempt=arguments.exempt,
            origin_headers=None if arguments.origin_headers is None else tuple(arguments.origin_headers),
            path_prefix=arguments.path_prefix,
            unsafe_pass_preflights=arguments.unsafe_pass_preflights,
            **given,
        )
    except ConfigurationError as error:
        return _fail(2, error.message)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    try:
        listener = socket.create_server((arguments.host, arguments.port), family=family, backlog=2048)
    except OSError as error:
        return _fail(1, f"cannot listen on {arguments.host} port {arguments.port}: {error.strerror or error}")
    # proxy_headers: nothing but our own convention may say what the original request was.
    config = uvicorn.Config(
        app, proxy_headers=False, ws="none", access_log=False, log_level="warning", timeout_keep_alive=KEEP_ALIVE
    )
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    sys.stdout.write(
        f"forward-auth for {arguments.convention} on http://{host}:{listener.getsockname()[1]}. "
        "Only the proxy may reach it.\n"
    )
    sys.stdout.flush()
    with listener:
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _protected(text: str) -> tuple[str, dict[str, object]]:
    path, _, scopes = text.partition("=")
    return path, {"scopes": scopes.replace(",", " ")}


def _fail(status: int, problem: str) -> int:
    sys.stderr.write(f"strongdm-auth: {problem}\n")
    return status


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
