"""The settings: what there are, and reading them."""

from safety_governor.settings.fields import Settings
from safety_governor.settings.reading import read

__all__ = ["Settings", "read"]
