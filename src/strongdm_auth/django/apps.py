"""The app for `INSTALLED_APPS`: it brings the system checks along, and nothing else."""

from django.apps import AppConfig


class StrongDMAuthConfig(AppConfig):
    """`strongdm_auth.django`, labelled `strongdm_auth`; no models."""

    name = "strongdm_auth.django"
    label = "strongdm_auth"
    verbose_name = "StrongDM Auth"

    def ready(self) -> None:
        """Register the checks. Settings are not read here, so that `manage.py check` can say what is wrong with them."""
        from .checks import register_checks

        register_checks()
