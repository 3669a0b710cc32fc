"""A project of Django in memory, with the applications of other packages that tests use."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

_APPLICATIONS = ("django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "django_celery_beat")


def set_up() -> Any:
    """Configure Django once, for all tests of a process."""
    django = pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
            SECRET_KEY="of tests",
            USE_TZ=True,
            INSTALLED_APPS=[name for name in _APPLICATIONS if find_spec(name.partition(".")[0]) is not None],
        )
        django.setup()
    return django
