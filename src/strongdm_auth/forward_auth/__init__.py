"""Forward-auth: a small app that a proxy asks before it lets a request through to an API that knows nothing of tokens.

    app = ForwardAuth("nginx", public_url="https://api.example.com", audience="https://api.example.com")

nginx asks by `auth_request`, Traefik by its ForwardAuth middleware, Envoy by its ext_authz filter (HTTP service). The app is
ASGI; the same for WSGI is `strongdm_auth.forward_auth.wsgi.ForwardAuth`. `strongdm-auth forward-auth` serves it.
"""

from .asgi import ForwardAuth

__all__ = ["ForwardAuth"]
