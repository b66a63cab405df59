"""Let AI agents, and only the right ones, into HTTP APIs written in Python.

    from strongdm_auth import StrongDMAuth          # Flask; other frameworks: strongdm_auth.asgi, .fastapi, .django ...
    from strongdm_auth import Verifier, Request     # no framework

Names are loaded when first used: importing this package imports no framework.
"""

from typing import TYPE_CHECKING

from ._version import __version__ as __version__
from .lazily import names_of

if TYPE_CHECKING:
    from .challenge import Denial as Denial
    from .delegation import ActorPattern as ActorPattern
    from .delegation import Delegation as Delegation
    from .errors import AccessDenied as AccessDenied
    from .errors import ConfigurationError as ConfigurationError
    from .errors import InsufficientScope as InsufficientScope
    from .errors import InsufficientUserAuthentication as InsufficientUserAuthentication
    from .errors import InvalidDPoPProof as InvalidDPoPProof
    from .errors import InvalidRequest as InvalidRequest
    from .errors import InvalidToken as InvalidToken
    from .errors import MissingCredentials as MissingCredentials
    from .errors import Refused as Refused
    from .errors import StrongDMAuthError as StrongDMAuthError
    from .errors import TemporarilyUnavailable as TemporarilyUnavailable
    from .errors import UseDPoPNonce as UseDPoPNonce
    from .events import Decision as Decision
    from .events import Exchange as Exchange
    from .events import SecurityEvent as SecurityEvent
    from .flask import StrongDMAuth as StrongDMAuth
    from .flow import Admission as Admission
    from .replay import MemoryReplayStore as MemoryReplayStore
    from .replay import ReplayStore as ReplayStore
    from .request import Request as Request
    from .requirement import Requirement as Requirement
    from .settings import SecurityWarning as SecurityWarning
    from .settings import Settings as Settings
    from .tokens import AccessToken as AccessToken
    from .tokens import Actor as Actor
    from .verifier import AsyncVerifier as AsyncVerifier
    from .verifier import Verifier as Verifier

#: Public name -> the module it lives in.
_HOMES = {
    "AccessDenied": "errors",
    "AccessToken": "tokens",
    "Actor": "tokens",
    "ActorPattern": "delegation",
    "Admission": "flow",
    "AsyncVerifier": "verifier",
    "ConfigurationError": "errors",
    "Decision": "events",
    "Delegation": "delegation",
    "Denial": "challenge",
    "Exchange": "events",
    "InsufficientScope": "errors",
    "InsufficientUserAuthentication": "errors",
    "InvalidDPoPProof": "errors",
    "InvalidRequest": "errors",
    "InvalidToken": "errors",
    "MemoryReplayStore": "replay",
    "MissingCredentials": "errors",
    "Refused": "errors",
    "ReplayStore": "replay",
    "Request": "request",
    "Requirement": "requirement",
    "SecurityEvent": "events",
    "SecurityWarning": "settings",
    "Settings": "settings",
    "StrongDMAuth": "flask",
    "StrongDMAuthError": "errors",
    "TemporarilyUnavailable": "errors",
    "UseDPoPNonce": "errors",
    "Verifier": "verifier",
}
__all__ = [
    "AccessDenied",
    "AccessToken",
    "Actor",
    "ActorPattern",
    "Admission",
    "AsyncVerifier",
    "ConfigurationError",
    "Decision",
    "Delegation",
    "Denial",
    "Exchange",
    "InsufficientScope",
    "InsufficientUserAuthentication",
    "InvalidDPoPProof",
    "InvalidRequest",
    "InvalidToken",
    "MemoryReplayStore",
    "MissingCredentials",
    "Refused",
    "ReplayStore",
    "Request",
    "Requirement",
    "SecurityEvent",
    "SecurityWarning",
    "Settings",
    "StrongDMAuth",
    "StrongDMAuthError",
    "TemporarilyUnavailable",
    "UseDPoPNonce",
    "Verifier",
    "__version__",
]

__getattr__, __dir__ = names_of(__name__, _HOMES, globals(), __all__)
