"""Settings of the property tests of quartzcron: they do not fail because the machine is slow."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("quartzcron", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quartzcron")
