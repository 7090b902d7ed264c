"""What all tests share: Hypothesis without deadlines, because a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("liveproof", deadline=None)
settings.load_profile("liveproof")
