"""``--sim-all``: async tests without a decorator are explored."""

from __future__ import annotations

from liveproof_sim.pytest_plugin.options import Options

__all__ = ["Undecorated"]


class Undecorated:
    """See the module."""

    def __init__(self, options: Options) -> None:
        self._options = options
