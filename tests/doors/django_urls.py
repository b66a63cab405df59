"""No routes: each test names its own module or list of routes."""

from typing import Any

urlpatterns: list[Any] = []
