"""`path("", include("strongdm_auth.django.urls"))`: the RFC 9728 document, at the root of the project."""

from django.urls import re_path

from .views import metadata

app_name = "strongdm_auth"
urlpatterns = [
    re_path(r"^\.well-known/oauth-protected-resource(?:/.*)?\Z", metadata, name="metadata"),
]
