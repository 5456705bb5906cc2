"""Calls of services, guarded as Resilience4j guards them. Everything public is here."""

from .client import *  # noqa: F403
from .client import __all__ as __all__
