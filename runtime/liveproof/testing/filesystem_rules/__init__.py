"""The rules that every file system keeps, one function of a file system and an empty directory each.

A rule's docstring is the rule. Rules of watches are coroutine functions.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from liveproof.abc.filesystem import FileSystem
from liveproof.testing.filesystem_rules.contents import (
    a_write_replaces_everything,
    directories_are_not_read,
    parts_are_read,
    permissions_are_kept,
    syncs_take_what_is_there,
    times_are_of_the_clock,
)
from liveproof.testing.filesystem_rules.names import (
    any_name_comes_back,
    directories_are_made_once,
    directories_move_with_what_is_in_them,
    files_are_replaced_by_files,
    files_have_nothing_below,
    full_directories_stay,
    names_are_exact,
    paths_from_the_root_stay,
    scans_are_sorted,
    what_is_missing_is_named,
)
from liveproof.testing.filesystem_rules.watches import (
    a_cancelled_wait_loses_nothing,
    a_closed_watch_ends_its_wait,
    a_discarded_directory_is_silent,
    a_watch_needs_a_directory,
    added_directories_are_watched,
    changes_are_told,
    nothing_before_the_watch_is_told,
    the_end_of_the_root_is_a_loss,
)

__all__ = ["RULES", "Rule"]

Rule: TypeAlias = Callable[[FileSystem, str], Coroutine[Any, Any, None] | None]

RULES: tuple[Rule, ...] = (
    a_write_replaces_everything,
    parts_are_read,
    directories_are_not_read,
    permissions_are_kept,
    times_are_of_the_clock,
    syncs_take_what_is_there,
    scans_are_sorted,
    names_are_exact,
    any_name_comes_back,
    what_is_missing_is_named,
    files_have_nothing_below,
    directories_are_made_once,
    full_directories_stay,
    files_are_replaced_by_files,
    directories_move_with_what_is_in_them,
    paths_from_the_root_stay,
    a_watch_needs_a_directory,
    changes_are_told,
    nothing_before_the_watch_is_told,
    added_directories_are_watched,
    a_discarded_directory_is_silent,
    a_cancelled_wait_loses_nothing,
    the_end_of_the_root_is_a_loss,
    a_closed_watch_ends_its_wait,
)
"""Every rule, in the order in which they are checked."""
