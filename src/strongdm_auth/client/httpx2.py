"""`DPoPAuth` and `BearerAuth` for httpx2, which takes no auth object of httpx's.

from strongdm_auth.client.httpx2 import DPoPAuth
"""

from types import ModuleType
from typing import Any, ClassVar

import httpx2

from .httpx_auth import BearerFlow, DPoPFlow
from .signed_request import signed_request_class


class DPoPAuth(DPoPFlow, httpx2.Auth):
    __doc__ = DPoPFlow.__doc__
    library: ClassVar[ModuleType] = httpx2
    signed_request: ClassVar[Any] = signed_request_class(httpx2)


class BearerAuth(BearerFlow, httpx2.Auth):
    __doc__ = BearerFlow.__doc__
    library: ClassVar[ModuleType] = httpx2
    signed_request: ClassVar[Any] = DPoPAuth.signed_request


__all__ = ["BearerAuth", "DPoPAuth"]
