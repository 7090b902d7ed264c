"""Failures and verdicts, for people and for tools."""

from __future__ import annotations

from liveproof_sim.report.exports import as_data, as_json
from liveproof_sim.report.html import index_page, page
from liveproof_sim.report.text import ROWS_MAX, render

__all__ = ["ROWS_MAX", "as_data", "as_json", "index_page", "page", "render"]
