"""Failures, for people."""

from __future__ import annotations

from liveproof_sim.report.text import ROWS_MAX, render

__all__ = ["ROWS_MAX", "render"]
