"""How the property tests of the calculator run: a machine under load is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("quartzcron", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quartzcron")
