"""What a class view needs, said on the class. The check comes before `setup` and `dispatch`, sync and async alike."""

from typing import Any, ClassVar, cast

from django.views.generic import View

from strongdm_auth.errors import ConfigurationError
from strongdm_auth.requirement import ANY_TOKEN, Requirement

from .decorators import require


class RequireAuthMixin:
    """Put it left of the view class: `class Admin(RequireAuthMixin, View): requirement = Requirement(scopes="admin")`.

    Raises:
        ConfigurationError: it stands right of `View`, where it would do nothing.
    """

    requirement: ClassVar[Requirement] = ANY_TOKEN

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if View in order and order.index(View) < order.index(RequireAuthMixin):
            raise ConfigurationError(f"{cls.__name__}: RequireAuthMixin must stand left of the view class")

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Django's `as_view`, behind the requirement; `as_view(requirement=...)` replaces the class's."""
        view = cast(Any, super()).as_view(**initkwargs)
        return require(initkwargs.get("requirement", cls.requirement))(view)
