"""The Django door: an app, a middleware, decorators and a mixin, sync and async. It decides nothing.

    INSTALLED_APPS += ["strongdm_auth.django"]
    MIDDLEWARE += ["strongdm_auth.django.StrongDMAuthMiddleware"]
    STRONGDM_AUTH = {"AUDIENCE": "https://api.example.com", "PROTECTED_ROUTES": {"/api/admin": {"scopes": ["admin"]}}}

    from strongdm_auth.django import require_scope

    @require_scope("admin")
    async def admin(request): return JsonResponse({"agent": request.auth.subject})

Names are loaded when first used: Django imports this package before its apps are ready, and settings may name it.
"""

from typing import TYPE_CHECKING

from strongdm_auth.extras import lacking
from strongdm_auth.lazily import names_of

try:
    import django as django
except ModuleNotFoundError as missing:
    raise lacking(missing, "django", "django") from missing

if TYPE_CHECKING:
    from .authentication import aauthorize as aauthorize
    from .authentication import arevoke as arevoke
    from .authentication import authorize as authorize
    from .authentication import revoke as revoke
    from .decorators import public as public
    from .decorators import require as require
    from .decorators import require_all_scopes as require_all_scopes
    from .decorators import require_auth as require_auth
    from .decorators import require_scope as require_scope
    from .middleware import StrongDMAuthMiddleware as StrongDMAuthMiddleware
    from .mixins import RequireAuthMixin as RequireAuthMixin

#: Public name -> the module it lives in.
_HOMES = {
    "RequireAuthMixin": "mixins",
    "StrongDMAuthMiddleware": "middleware",
    "aauthorize": "authentication",
    "arevoke": "authentication",
    "authorize": "authentication",
    "public": "decorators",
    "require": "decorators",
    "require_all_scopes": "decorators",
    "require_auth": "decorators",
    "require_scope": "decorators",
    "revoke": "authentication",
}
__all__ = [
    "RequireAuthMixin",
    "StrongDMAuthMiddleware",
    "aauthorize",
    "arevoke",
    "authorize",
    "public",
    "require",
    "require_all_scopes",
    "require_auth",
    "require_scope",
    "revoke",
]

__getattr__, __dir__ = names_of(__name__, _HOMES, globals(), __all__)
