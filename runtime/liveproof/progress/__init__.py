"""Progress of an update or a drop: a table on a terminal, lines elsewhere, or JSON for machines."""

from liveproof.progress.lines import JsonLines, Lines, stats_as_data
from liveproof.progress.reporting import Display, choose_display, report
from liveproof.progress.words import Progress, in_words, took

__all__ = [
    "Display",
    "JsonLines",
    "Lines",
    "Progress",
    "choose_display",
    "in_words",
    "report",
    "stats_as_data",
    "took",
]
