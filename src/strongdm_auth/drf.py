"""The Django REST framework door: an authentication class and permissions, on top of the Django door's one slot.

    class Admin(APIView):
        authentication_classes = [StrongDMAuthentication]
        permission_classes = [TokenHasScope]
        required_scopes = ["admin"]
        def get(self, request): return Response({"agent": request.auth.subject})

It works with and without our middleware. Refusals carry the contract's body, status and headers. What DRF says itself,
such as `IsAuthenticated` to a request without credentials, has our challenge and DRF's body, unless
`REST_FRAMEWORK = {"EXCEPTION_HANDLER": "strongdm_auth.drf.exception_handler"}`.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack, cast

from .extras import lacking

try:
    from rest_framework.authentication import BaseAuthentication
except ModuleNotFoundError as missing:
    raise lacking(missing, "rest_framework", "drf") from missing
from django.http import HttpResponse
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission

from .challenge import Denial
from .django import conf
from .django.authentication import authorize, slot_of
from .django.responses import rendered
from .errors import ConfigurationError, MissingCredentials, StrongDMAuthError
from .flow import VARY, Admission
from .requirement import ANY_TOKEN, Requirement, RequirementKeywords
from .tokens import AccessToken, Principal


@dataclass(frozen=True, slots=True)
class Agent(Principal):
    """`request.user` for a token where USER names no resolver: what DRF and Django ask of a user, and no right by itself."""

    is_active: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        """Its own for each subject of each issuer, and fit for a cache key, as throttles use it."""
        token = cast(AccessToken, self.token)
        name = json.dumps([token.issuer, token.subject, None if token.subject else token.client_id])
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    id = pk

    @property
    def username(self) -> str:
        """The subject."""
        return self.identity

    def get_username(self) -> str:
        """The subject."""
        return self.identity

    def __str__(self) -> str:
        return self.identity

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002
        """No: a token has scopes, not Django's permissions."""
        return False

    def has_perms(self, perms: object, obj: object = None) -> bool:  # noqa: ARG002
        """No."""
        return False

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002
        """No."""
        return False


class Refusal(APIException):
    """A refusal as DRF's exception, with the answer in `denial`. DRF leaves its status as it is, 401 and 403 alike."""

    def __init__(self, error: StrongDMAuthError, denial: Denial) -> None:
        APIException.__init__(self, json.loads(denial.body), error.error)
        self.error = error
        self.denial = denial
        self.status_code = denial.status
        self.auth_header = dict(denial.headers).get("WWW-Authenticate")


class StrongDMAuthentication(BaseAuthentication):
    """Gives (user, `AccessToken`); None without credentials of ours, so that another class may try.

    The user is the one whom `STRONGDM_AUTH["USER"]` names, else an `Agent`.
    """

    def authenticate(self, request: Any) -> tuple[Any, AccessToken] | None:
        """Who sent this, once for the request, whoever asked first.

        Raises:
            Refusal: the credentials are no good.
        """
        _send_along(request, (VARY,))
        http, requirement = request._request, _for_workloads(request)
        try:
            token = authorize(http, requirement)
        except MissingCredentials:
            return None
        except StrongDMAuthError as error:
            raise _refusal(request, error, requirement) from error
        if token is None:  # nobody, where the view takes that
            return None
        _send_along(request, cast(Admission, slot_of(http).admission).headers)
        http._cache_update_cache = False  # as for every view that a token let in: see `responses.finish`
        return Agent(token) if conf.current().resolve_user is None else http.user, token

    def authenticate_header(self, request: Any) -> Any:  # noqa: ARG002
        """The challenge that DRF puts on a 401 of its own."""
        denial = conf.current().verifier.denial(MissingCredentials("credentials.missing"))
        return dict(denial.headers)["WWW-Authenticate"]


class TokenPermission(BasePermission):
    """A permission that holds a requirement against the request's token.

    It raises rather than answer False, since DRF would make a 403 without a challenge of that. So in `A | B` it goes last.
    """

    def required(self, view: Any) -> Requirement:
        """What the view needs."""
        raise NotImplementedError

    def has_permission(self, request: Any, view: Any) -> Literal[True]:
        """True.

        Raises:
            Refusal: the token does not suffice, or there is none.
        """
        requirement, slot = self.required(view), slot_of(request._request)
        if slot.admission is None and isinstance(request.auth, AccessToken):  # DRF's force_authenticate(token=...)
            slot.admission = Admission(request.auth, (VARY,))
        try:
            if slot.admission is None and not requirement.optional:  # perhaps someone, but nobody with a token
                raise MissingCredentials("credentials.missing")
            token = authorize(request._request, requirement)
        except StrongDMAuthError as error:
            raise _refusal(request, error, requirement) from error
        if token is not None and request.auth is not token:
            request.auth = token
        return True


class TokenHasScope(TokenPermission):
    """All of the view's `required_scopes`."""

    def required(self, view: Any) -> Requirement:
        """The view's `required_scopes`, every one."""
        return Requirement(scopes=_required_scopes(self, view))


class TokenHasAnyScope(TokenPermission):
    """At least one of the view's `required_scopes`."""

    def required(self, view: Any) -> Requirement:
        """One of the view's `required_scopes`."""
        return Requirement(any_scope=_required_scopes(self, view))


def Requires(  # noqa: N802
    requirement: Requirement | None = None, /, **parts: Unpack[RequirementKeywords]
) -> type[TokenPermission]:
    """A permission class for a whole requirement: `permission_classes = [Requires(scopes="admin", dpop=True)]`."""
    if requirement is not None and not isinstance(requirement, Requirement):
        raise ConfigurationError("give a Requirement(...), or its parts as keywords such as scopes={'read'}")
    wanted = requirement or Requirement(**parts)
    if requirement is not None and parts:
        wanted = requirement & Requirement(**parts)

    class Required(TokenPermission):
        def required(self, view: Any) -> Requirement:  # noqa: ARG002
            return wanted

    return Required


def exception_handler(error: Exception, context: Any) -> Any:
    """For `EXCEPTION_HANDLER`: refusals byte for byte as every other door answers, also where DRF asks for credentials."""
    # Only now: DRF's views import what DEFAULT_AUTHENTICATION_CLASSES names, which may be this module.
    from rest_framework.views import exception_handler as drf_exception_handler

    if isinstance(error, NotAuthenticated | AuthenticationFailed) and _is_first(context.get("view")):
        error = _refusal(context["request"], MissingCredentials("credentials.missing"), ANY_TOKEN)
    response = drf_exception_handler(error, context)
    if isinstance(error, Refusal) and response is not None:  # it was called for what it does to a transaction
        answer: HttpResponse = rendered(error.denial)
        return answer
    return response


def _is_first(view: Any) -> bool:
    """Whether the challenge on DRF's 401 is ours: DRF asks the first class."""
    classes: Any = getattr(view, "authentication_classes", None)
    return bool(classes) and issubclass(classes[0], StrongDMAuthentication)


def _for_workloads(request: Any) -> Requirement:
    """What a view asks of workloads (`spiffe_ids`), by its `permission_classes`; else any access token.

    DRF authenticates before it looks at permissions, and an SVID is looked at as one only where it is asked for.
    """
    view = (request.parser_context or {}).get("view")
    for permission in getattr(view, "permission_classes", ()):
        # What scopes a view asks for may be known only later (`get_permissions`), and no scope is asked of a workload.
        if not isinstance(permission, type) or issubclass(permission, (TokenHasScope, TokenHasAnyScope)):
            continue
        if issubclass(permission, TokenPermission):
            wanted = permission().required(view)
            if wanted.spiffe_ids:
                return wanted
    return ANY_TOKEN


def _required_scopes(permission: TokenPermission, view: Any) -> Any:
    scopes = getattr(view, "required_scopes", None)
    if not scopes:
        name = type(permission).__name__
        raise ConfigurationError(f"{name} needs required_scopes on {type(view).__name__}, such as ['admin']")
    return scopes


def _refusal(request: Any, error: StrongDMAuthError, requirement: Requirement) -> Refusal:
    denial = conf.current().verifier.denial(error, requirement)
    _send_along(request, tuple(header for header in denial.headers if header[0] != "Content-Type"))
    return Refusal(error, denial)


def _send_along(request: Any, headers: tuple[tuple[str, str], ...]) -> None:
    """Put headers on the answer that the view will give: DRF adds what stands in `view.headers`, and joins Vary."""
    context = request.parser_context or {}
    sent = getattr(context.get("view"), "headers", None)
    if not isinstance(sent, dict):
        return
    for name, value in headers:
        if name == "Vary" and name in sent:
            there = sent[name].split(", ")
            value = ", ".join(dict.fromkeys([*there, *value.split(", ")]))
        sent[name] = value
