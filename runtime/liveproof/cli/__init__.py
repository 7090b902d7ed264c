"""The command ``liveproof``."""

from liveproof.cli.commands import main

__all__ = ["main"]
