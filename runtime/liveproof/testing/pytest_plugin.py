"""pytest's way to what tests of live components need: plugins that other packages offer.

pytest loads this wherever liveproof is installed, also where its simulator is not complete: what lacks the
packages of an extra is left out, and pytest runs as if it were not there.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

__all__ = ["PLUGINS", "pytest_addoption"]

PLUGINS = "liveproof.pytest"
"""Entry points that are plugins of pytest."""


def pytest_addoption(pluginmanager: Any) -> None:
    """Register them; they add their options by themselves."""
    for entry in entry_points(group=PLUGINS):
        try:
            plugin = entry.load()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == entry.module.partition(".")[0]:
                raise  # its own module is not there: no extra that lacks, but a broken installation
        else:
            pluginmanager.register(plugin, entry.name)
