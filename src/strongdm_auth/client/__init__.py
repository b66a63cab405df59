"""The agent's side: get into APIs that want tokens.

    import httpx
    from strongdm_auth.client import Credentials, DPoPAuth

    client = httpx.Client(auth=DPoPAuth(Credentials.load("cli_my_agent_0123").source()))

For httpx2 and for requests, the same two names are in `strongdm_auth.client.httpx2` and `strongdm_auth.client.requests`.
Names are loaded when first used: importing this package imports no HTTP library.
"""

from typing import TYPE_CHECKING

from strongdm_auth.lazily import names_of

if TYPE_CHECKING:
    from .client_credentials import ClientCredentials as ClientCredentials
    from .credentials import Credentials as Credentials
    from .device_code import DeviceAuthorization as DeviceAuthorization
    from .device_code import DeviceCode as DeviceCode
    from .errors import ClientError as ClientError
    from .errors import InsecureURL as InsecureURL
    from .errors import TokenRequestFailed as TokenRequestFailed
    from .errors import UnsafeFile as UnsafeFile
    from .httpx_auth import BearerAuth as BearerAuth
    from .httpx_auth import DPoPAuth as DPoPAuth
    from .keys import DPoPKey as DPoPKey
    from .network import Network as Network
    from .registration import Enrollment as Enrollment
    from .registration import Registration as Registration
    from .service import JWTSVID as JWTSVID
    from .service import Service as Service
    from .token_exchange import TokenExchange as TokenExchange
    from .tokens import FixedToken as FixedToken
    from .tokens import Token as Token
    from .tokens import TokenSource as TokenSource

#: Public name -> the module it lives in.
_HOMES = {
    "BearerAuth": "httpx_auth",
    "ClientCredentials": "client_credentials",
    "ClientError": "errors",
    "Credentials": "credentials",
    "DPoPAuth": "httpx_auth",
    "DPoPKey": "keys",
    "DeviceAuthorization": "device_code",
    "DeviceCode": "device_code",
    "Enrollment": "registration",
    "FixedToken": "tokens",
    "InsecureURL": "errors",
    "JWTSVID": "service",
    "Network": "network",
    "Registration": "registration",
    "Service": "service",
    "Token": "tokens",
    "TokenExchange": "token_exchange",
    "TokenRequestFailed": "errors",
    "TokenSource": "tokens",
    "UnsafeFile": "errors",
}
__all__ = [
    "JWTSVID",
    "BearerAuth",
    "ClientCredentials",
    "ClientError",
    "Credentials",
    "DPoPAuth",
    "DPoPKey",
    "DeviceAuthorization",
    "DeviceCode",
    "Enrollment",
    "FixedToken",
    "InsecureURL",
    "Network",
    "Registration",
    "Service",
    "Token",
    "TokenExchange",
    "TokenRequestFailed",
    "TokenSource",
    "UnsafeFile",
]

__getattr__, __dir__ = names_of(__name__, _HOMES, globals(), __all__)
