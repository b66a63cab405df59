"""What an application may give a door, named as a setting names it: `tests.hooks:refuse`."""

from typing import Any

from strongdm_auth import AccessToken, Decision, Exchange, InsufficientScope, Request, Requirement, StrongDMAuthError

#: What `record` was told, by whatever door a test asked last; it empties this first.
EVENTS: list[Decision | Exchange] = []


def record(event: Decision | Exchange) -> None:
    EVENTS.append(event)


def fail(event: Decision | Exchange) -> None:
    raise RuntimeError("an observer that is broken")


def decisions() -> list[Decision]:
    return [event for event in EVENTS if isinstance(event, Decision)]


def only_alice_reads(token: AccessToken, request: Request, requirement: Requirement) -> bool:
    """A policy that looks at all it is given. Some doors authenticate first, which is a requirement without scopes."""
    asked = (token.subject, request.method, request.path)
    return asked == ("alice", "GET", "/read") and requirement.scopes in ({"read"}, set())


def refuse(token: AccessToken, request: Request, requirement: Requirement) -> bool:
    return False


def say_nothing(token: AccessToken, request: Request, requirement: Requirement) -> Any:
    return None


def say_yes_in_words(token: AccessToken, request: Request, requirement: Requirement) -> Any:
    return "yes"


def break_down(token: AccessToken, request: Request, requirement: Requirement) -> bool:
    raise RuntimeError("a policy that is broken")


def not_after_hours(token: AccessToken, request: Request, requirement: Requirement) -> bool:
    raise StrongDMAuthError("Not after hours", 403)


def more_scope(token: AccessToken, request: Request, requirement: Requirement) -> bool:
    raise InsufficientScope("scope.insufficient")
