"""Mounting one child: its path, its record, and how it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liveproof.abc.store import Table
from liveproof.core.component import Cycle
from liveproof.core.context import ComponentContext, MountKind, current
from liveproof.core.live import LiveController
from liveproof.core.operator import is_live_component_class
from liveproof.core.paths import Path, encode_path, format_path
from liveproof.core.records import DEPTH_MAX, ComponentRecord, decode_record
from liveproof.errors import StoppedError

__all__ = ["mount_child", "mounting_context"]


def mounting_context(api: str) -> ComponentContext:
    """The running component, which may mount here."""
    context = current(f"{api}()")
    if context.live_operator:
        raise RuntimeError(
            f"{api}() is not allowed inside process_live() of {format_path(context.cycle.path)}: use "
            "operator.update(), or mount in process()"
        )
    context.cycle.require_open(f"{api}()")
    frame = context.frame
    if frame.outer is not None:
        raise RuntimeError(
            f"{api}() inside a memoized function that was called directly: its mounts could not be repeated when "
            "the memo is used; mount the function instead of calling it"
        )
    return context


async def mount_child(
    context: ComponentContext,
    sub: Path,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    kind: MountKind,
    site: str,
    *,
    critical: bool = False,
) -> Cycle | LiveController | None:
    """Mount one child. Returns what runs, or ``None`` if the last outcome was carried over and nobody waits
    for its result (``critical``)."""
    parent = context.cycle
    sub = context.prefix + sub
    path = parent.path + sub
    if len(path) > DEPTH_MAX:
        raise ValueError(f"a path has at most {DEPTH_MAX} keys: {format_path(path)}")
    key = parent.key + encode_path(sub)
    if parent.known is None:
        await parent.children_known()
    _check_free(parent, path, key, site)
    record = _record_of(parent, key)
    parent.ensure_row()
    if is_live_component_class(fn):
        assert isinstance(fn, type), "a class"
        _claim(parent, key, site, record)
        return _start_live(context, path, key, fn, args, kwargs, kind, record)
    child = Cycle(
        parent.run,
        path,
        key,
        len(parent.path),
        fn,
        args,
        kwargs,
        kind=kind,
        critical=critical,
        handlers=context.handlers,
        rival=parent.rival,
        rank=parent.rank,
        on_end=parent.child_ended,
        record=record,
        memoizing=parent.memoizing,
    )
    child.prepare_memo()
    _claim(parent, key, site, record)
    if child.remembered and not child.has_states and not parent.run.is_busy(key):
        child.carry_over()
        if parent.memoizing:
            parent.frame.uses.update(child.frame.uses)
        return child if critical else None
    if record is not None and parent.childless(key):
        child.known = {}
    await _start(parent, child)
    return child


def _check_free(parent: Cycle, path: Path, key: bytes, site: str) -> None:
    """Raise if a sibling has the path, or nothing may be mounted any more."""
    first = parent.mounted.get(key)
    if first is not None:
        raise ValueError(
            f"two components are mounted at {format_path(path)} in one cycle: at {first} and at {site}; give "
            "them different component_subpaths"
        )
    if parent.run.stopping:
        raise StoppedError(f"component {format_path(path)} was not started: the update was cancelled")


def _claim(parent: Cycle, key: bytes, site: str, record: ComponentRecord | None) -> None:
    """Take the path for this child, which nothing can refuse any more."""
    parent.note_mount(key, site)
    run = parent.run
    if key in run.deleting:
        run.note_rewritten(key)  # What is known of it will not be true when it starts.
    elif record is not None and record.owner != len(parent.path):
        # From now on it is ours: whoever mounted it before must not collect it (GC-2).
        record.owner = len(parent.path)
        run.put_record(key, record)


def _record_of(parent: Cycle, key: bytes) -> ComponentRecord | None:
    """What the store remembers of the child, whoever mounted it last."""
    assert parent.known is not None, "asked for before"
    run = parent.run
    raw = parent.known.get(key)
    if raw is None and parent.strangers_below:
        raw = run.ledger.get(Table.COMPONENT, key)
    elif run.version(key):
        raw = run.ledger.get(Table.COMPONENT, key)
    return None if raw is None else decode_record(raw)


def _start_live(
    context: ComponentContext,
    path: Path,
    key: bytes,
    cls: type[Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    kind: MountKind,
    record: ComponentRecord | None,
) -> LiveController:
    parent = context.cycle
    parent.spoiled = True  # A memo would keep it from being started again.
    parent.child_started()
    live = LiveController(
        parent.run,
        path,
        key,
        len(parent.path),
        cls,
        args,
        kwargs,
        kind=kind,
        handlers=context.handlers,
        rival=parent.rival,
        rank=parent.rank,
        on_ready=parent.live_child_ready,
        record=record,
    )
    live.start()
    return live


async def _start(parent: Cycle, child: Cycle) -> None:
    """Start the child when there is a place; hold its parent back when too much waits for one."""
    parent.child_started()
    limiter = parent.run.limiter
    limiter.start(child)
    if limiter.crowded:
        async with parent.place.given_up():
            await limiter.room()
