"""Django's settings for all tests of this process: configured once, changed by `override_settings` only."""

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["api.example.com", "testserver"],
        AUTH_PASSWORD_VALIDATORS=[],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "rest_framework",
            "strongdm_auth.django",
        ],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["strongdm_auth.django.StrongDMAuthMiddleware"],
        REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
        ROOT_URLCONF="tests.doors.django_urls",
        SECRET_KEY="only for tests",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        STRONGDM_AUTH={"REALMS": "alpha", "AUDIENCE": "https://api.example.com"},
    )
    django.setup()
