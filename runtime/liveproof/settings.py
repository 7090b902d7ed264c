"""What an environment is told before it starts."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass
from typing import Literal

__all__ = ["DB_VARIABLE", "Settings"]

DB_VARIABLE = "LIVEPROOF_DB"


@dataclass(kw_only=False)
class Settings:
    """Where the state store is, and what it must survive."""

    db_path: str | os.PathLike[str] | None = None
    """The store's file. ``None``: ``$LIVEPROOF_DB``, else ``.liveproof/state.db`` beside the app's file."""
    durability: Literal["power", "process"] = "power"
    """``"power"``: what was applied survives a power cut. ``"process"``: only the death of the process."""

    @classmethod
    def from_env(cls, db_path: str | os.PathLike[str] | None = None) -> Settings:
        """Settings with the path from ``$LIVEPROOF_DB``, unless one is given."""
        return cls(db_path if db_path is not None else os.environ.get(DB_VARIABLE) or None)

    def resolve(self, beside: str | None) -> pathlib.Path:
        """The path in force, absolute; ``beside`` is the file of the app that asks first."""
        if self.db_path is not None:
            return pathlib.Path(self.db_path).absolute()
        named = os.environ.get(DB_VARIABLE)
        if named:
            return pathlib.Path(named).absolute()
        folder = pathlib.Path(beside).absolute().parent if beside else pathlib.Path.cwd()
        return folder / ".liveproof" / "state.db"
