"""What a submission is going to do: which states to write or remove, what to remember of each, and who
owned them before. Nothing here waits, or calls anything but handlers' ``reconcile``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liveproof.abc.points import reached
from liveproof.abc.store import Table
from liveproof.core.absence import NON_EXISTENCE
from liveproof.core.doubts import doubted
from liveproof.core.paths import decode_path, format_path
from liveproof.core.ranks import Rank
from liveproof.core.records import ComponentRecord, TargetEntry, decode_record
from liveproof.core.targets import (
    Declaration,
    HandlerMissingError,
    TargetStateProvider,
    record_decoder,
)
from liveproof.core.values import encode

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.paths import Path
    from liveproof.core.run import Run
    from liveproof.core.targets import TargetActionSink, TargetReconcileOutput

__all__ = ["Change", "Part", "Planner", "by_depth"]


class Part:
    """One component's share of a submission, and how it went."""

    __slots__ = (
        "applied",
        "before",
        "changed",
        "declared",
        "disowned",
        "doubtful",
        "entries",
        "error",
        "intended",
        "key",
        "path",
        "rank",
        "removed",
        "retained",
        "rival",
        "stranded",
        "version",
    )

    def __init__(
        self,
        key: bytes,
        path: Path,
        record: ComponentRecord,
        declared: Mapping[bytes, Declaration],
        retained: Mapping[bytes, None],
        rival: dict[bytes, bool] | None,
        rank: Rank,
        version: int,
    ) -> None:
        self.key = key
        self.version = version
        """That of ``record``."""
        self.path = path
        self.before = record
        """What the store knew when the submission began."""
        self.declared = declared
        self.retained = retained
        """Target states that stay as they are, without being looked at."""
        self.rank = rank
        self.rival = rival
        """Components that have completed in the same cycle: what they own can not be taken over."""
        self.entries: dict[bytes, TargetEntry] = dict(record.targets)
        """Result: what is known of the component's targets now."""
        self.doubtful: dict[bytes, TargetEntry] = {}
        """Result: entries as the intent had them, of what has been applied."""
        self.removed: dict[bytes, TargetEntry] = {}
        """States that have been removed, as they were: the store has to know of them until the commit."""
        self.disowned: list[bytes] = []
        """Result: target states that are gone and owned by nobody."""
        self.applied: list[tuple[TargetActionSink[Any, Any], list[Any]]] = []
        """Result: what has yet to be settled."""
        self.changed = False
        """Result: whether ``entries`` differ from what the store has under ``key``."""
        self.stranded: list[bytes] = []
        """Result: states that were to be removed and that nobody could reconcile. Only of a cycle, which may
        still collect their container."""
        self.intended = False
        """Result: whether the store knows that this component owns ``entries``."""
        self.error: BaseException | None = None

    def possible(self) -> dict[bytes, TargetEntry]:
        """``entries``, but what has been applied already and is not settled may still be as the intent had
        it."""
        if not self.doubtful:
            return self.entries
        return {key: doubted(entry, self.doubtful.get(key)) for key, entry in self.entries.items()}


class Change:
    """What one target state goes through."""

    __slots__ = ("after", "declaration", "done", "key", "output", "part")

    def __init__(
        self,
        part: Part,
        key: bytes,
        declaration: Declaration | None,
        output: TargetReconcileOutput[Any, Any, Any],
        after: TargetEntry | None,
    ) -> None:
        self.part = part
        self.key = key
        self.declaration = declaration
        self.output = output
        self.after = after
        """What is known once it has been applied; ``None`` if the state is gone."""
        self.done = False
        """Whether it has been applied."""


class Planner:
    """What a submission is going to do, target state by target state."""

    __slots__ = ("parts", "pending", "run", "stranded", "taken")

    def __init__(self, run: Run, parts: list[Part]) -> None:
        self.run = run
        self.parts = parts
        self.pending: list[tuple[Part, Declaration]] = []
        """Declarations inside a container that this submission has yet to apply."""
        self.stranded: list[tuple[Part, bytes, Path, HandlerMissingError]] = []
        """States to be removed that nobody here can reconcile."""
        self.taken: dict[bytes, ComponentRecord] = {}
        """Records of former owners, rewritten."""

    def first(self) -> list[Change]:
        """The changes that can be told now; the rest is in ``pending``."""
        changes: list[Change] = []
        for part in self.parts:
            try:
                found = [
                    change
                    for declaration in part.declared.values()
                    if (change := self.declared(part, declaration)) is not None
                ]
                for key in part.retained:
                    if key not in part.entries:
                        self._lost(part, key)
                gone = [
                    key for key in part.entries if key not in part.declared and key not in part.retained
                ]
                if gone:
                    found += self.removed(part, self._owned(part, gone))
            except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                part.error = exc
                self.taken.clear()  # Only a submission of one part takes anything over.
                part.entries = dict(part.before.targets)
                part.changed = False
                part.disowned.clear()
                part.removed.clear()
                self.pending = [item for item in self.pending if item[0] is not part]
            else:
                changes += found
        return changes

    def declared(self, part: Part, declaration: Declaration) -> Change | None:
        """What a declared state goes through; ``None`` if nothing, or if it must wait for its container.

        Raises what the handler raises; ``ValueError`` if another component has declared it in this cycle.
        """
        level = declaration.provider._level
        if level.handler is None:
            if level.owner != part.key:
                raise RuntimeError(
                    f"the container {format_path(declaration.provider.path)} is not applied yet: mount it with "
                    "mount_target() before other components declare states inside it"
                )
            self.pending.append((part, declaration))
            return None
        key = declaration.key
        entry = part.entries.get(key)
        if entry is None:
            owner = self._other_owner(part, key, declaration)
            if self.run.ranks.is_later(key, part.rank):
                return None  # A later operation has claimed it; one after the other, it would win.
            if owner is not None:
                entry = self.take_over(owner, key)
        output = self._reconcile(declaration.provider, declaration.stable_key, declaration.value, entry)
        generation = level.generation
        intended = own = (0, 0) if entry is None else entry.own
        if declaration.child is not None:
            intended, own = self._generations(entry, generation, output)
        if output is None:
            if declaration.child is not None:
                self.resolve(declaration, own, None, None)
            if key not in part.entries or entry is None or entry.container != generation or entry.own != own:
                possible, missing = _valid(entry, generation)
                part.entries[key] = TargetEntry(possible, missing, generation, own)
                part.changed = True
            return None
        possible, missing = _valid(entry, generation)
        if output.tracking_record is NON_EXISTENCE:
            after = TargetEntry([], True, generation, own)
            part.entries[key] = TargetEntry(possible, True, generation, intended)
        else:
            raw = encode(output.tracking_record)
            after = TargetEntry([raw], False, generation, own)
            part.entries[key] = TargetEntry(
                possible if raw in possible else [*possible, raw], missing, generation, intended
            )
        part.changed = True
        return Change(part, key, declaration, output, after)

    def _lost(self, part: Part, key: bytes) -> None:
        """A state that a remembered call declared belongs to somebody else by now."""
        path = decode_path(key)
        owner = self.run.owner_of_target(key)
        if self.run.ranks.is_later(key, part.rank):
            return
        if owner is not None and part.rival is not None and self.run.completed(owner, part.rival):
            raise ValueError(
                f"target state {format_path(path)} is declared twice in one cycle: by "
                f"{self.run.format_key(owner)} and by {format_path(part.path)}"
            )
        raise RuntimeError(
            f"target state {format_path(path)} was taken over while {format_path(part.path)} ran; it runs again in "
            "the next cycle"
        )

    def _other_owner(self, part: Part, key: bytes, declaration: Declaration) -> bytes | None:
        """Which other component owns the state.

        Raises:
            ValueError: it declared the state in this same cycle.
        """
        owner = self.run.owner_of_target(key)
        if owner is None or owner == part.key:
            return None
        if part.rival is not None and self.run.completed(owner, part.rival):
            raise ValueError(
                f"target state {format_path((*declaration.provider.path, declaration.stable_key))} is declared "
                f"twice in one cycle: by {self.run.format_key(owner)} and by {format_path(part.path)}"
            )
        return owner

    def take_over(self, owner: bytes, key: bytes) -> TargetEntry | None:
        """Take a state from its owner's record; returns what was known of it there. What is in doubt of it
        follows with the intent."""
        former = self.taken.get(owner)
        if former is None:
            raw = self.run.ledger.get(Table.COMPONENT, owner)
            if raw is None:
                return None
            former = decode_record(raw)
        entry = former.targets.pop(key, None)
        # It must run again to say whether it still wants the state; a memo, of it or of one above it, would
        # hide that.
        former.memo = None
        self.taken[owner] = former
        reached("submit.taken-over")
        for above in self.run.keys_above(owner):
            raw = self.run.ledger.get(Table.COMPONENT, above)
            if raw is not None and above not in self.taken:
                ancestor = decode_record(raw)
                if ancestor.memo is not None:
                    ancestor.memo = None
                    self.taken[above] = ancestor
        return entry

    def _reconcile(
        self, provider: TargetStateProvider[Any, Any], stable_key: Any, desired: Any, entry: TargetEntry | None
    ) -> TargetReconcileOutput[Any, Any, Any] | None:
        level = provider._level
        decode = level.decode
        if decode is None:
            decode = level.decode = record_decoder(level.handler)
        raws, missing = _valid(entry, level.generation)
        if len(raws) > 1 or (missing and raws):
            reached("submit.in-doubt")
        output: TargetReconcileOutput[Any, Any, Any] | None = level.handler.reconcile(
            stable_key, desired, [decode(raw) for raw in raws], missing or self.run.full_reprocess
        )
        return output

    def _generations(
        self,
        entry: TargetEntry | None,
        container: tuple[int, int],
        output: TargetReconcileOutput[Any, Any, Any] | None,
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """The generations of a container: while it may or may not have been changed, and once it has.

        What is inside has gone with a generation (the first number) that has passed, and may have gone with
        the second. So a destructive change counts as that only when it is known to have happened.
        """
        number = self.run.number
        if entry is None:
            return (number, 0), (number, 0)  # Whatever a former container of this name held is gone.
        destroyed, lost = entry.own
        if entry.container[0] < container[0]:
            renewed = (max(destroyed + 1, number), 0)  # It went with the container that it is in.
            return renewed, renewed
        if entry.container != container:
            lost += 1
        invalidation = None if output is None else output.child_invalidation
        if invalidation == "destructive":
            return (destroyed, lost + 1), (max(destroyed + 1, number), lost + 1)
        if invalidation == "lossy":
            lost += 1
        elif invalidation is not None:
            raise ValueError(f'child_invalidation is "destructive", "lossy" or None, not {invalidation!r}')
        return (destroyed, lost), (destroyed, lost)

    def _owned(self, part: Part, keys: list[bytes]) -> list[bytes]:
        """Those that are this component's to remove; of the others its record was wrong."""
        owned: list[bytes] = []
        for key in keys:
            owner = self.run.owner_of_target(key)
            if owner is None or owner == part.key:
                owned.append(key)
            else:
                del part.entries[key]
                part.changed = True
        return owned

    def removed(self, part: Part, gone: list[bytes]) -> list[Change]:
        """What states that are no longer wanted go through. Those that nobody can reconcile are stranded."""
        changes: list[Change] = []
        paths = {key: decode_path(key) for key in gone}
        # What is inside a container goes before the container.
        for key in sorted(gone, key=lambda key: -len(paths[key])):
            path = paths[key]
            entry = part.entries[key]
            try:
                provider = self.run.provider_of(path)
            except HandlerMissingError as exc:
                # Perhaps its container goes, too; then it goes with it.
                self.stranded.append((part, key, path, exc))
                continue
            if provider is None:
                # Its container is gone, and it went with it.
                self.drop(part, key)
                continue
            level = provider._level
            if entry.container[0] < level.generation[0]:
                self.drop(part, key)
                continue
            output = self._reconcile(provider, path[-1], NON_EXISTENCE, entry)
            if output is None:
                self.drop(part, key)
                continue
            part.entries[key] = TargetEntry(entry.possible, True, entry.container, entry.own)
            part.changed = True
            changes.append(Change(part, key, None, output, None))
        return changes

    @staticmethod
    def drop(part: Part, key: bytes) -> None:
        """A state is gone, and nobody's."""
        part.removed[key] = part.entries.pop(key)
        part.disowned.append(key)
        part.changed = True

    def obstacles(self, change: Change) -> list[tuple[bytes, bytes]]:
        """States in the way of this one whose owners have not said in this cycle that they want them."""
        declaration = change.declaration
        if declaration is None or change.part.rival is None:
            return []
        provider = declaration.provider
        in_the_way = getattr(provider._level.handler, "in_the_way", None)
        if in_the_way is None:
            return []
        depth = len(provider.path) + 1
        found: list[tuple[bytes, bytes]] = []
        for key, owner in self.run.owners_below(provider.key):
            path = decode_path(key)
            if (
                len(path) == depth
                and owner != change.part.key
                and key not in self.run.busy
                and in_the_way(declaration.stable_key, path[-1])
                and not self.run.completed(owner, change.part.rival)
            ):
                found.append((owner, key))
        return found

    def intent(self, parts: list[Part]) -> tuple[list[tuple[bytes, ComponentRecord]], list[Write]]:
        """What has to be durable before a sink is called: records of all that the targets may hold from now
        on, and who owns them."""
        records: list[tuple[bytes, ComponentRecord]] = []
        writes: list[Write] = []
        for owner, former in self.taken.items():
            records.append((owner, former))
            self.run.note_rewritten(owner)
            for part in parts:
                self.run.doubts.move(owner, part.key, part.entries)
        self.taken.clear()
        for part in parts:
            before = part.before
            part.intended = True
            intent = ComponentRecord(
                owner=before.owner,
                processor=before.processor,
                targets={**part.removed, **part.possible()} if part.removed else part.possible(),
                calls=before.calls,
                state_keys=before.state_keys,
            )
            records.append((part.key, intent))
            known = before.targets
            writes += [self.run.own(key, part.key) for key in part.entries if key not in known]
        return records, writes

    def resolve(
        self,
        declaration: Declaration,
        own: tuple[int, int],
        definition: Any,
        output: TargetReconcileOutput[Any, Any, Any] | None,
    ) -> None:
        """Give the provider of what is inside a container its handler.

        Raises:
            RuntimeError: nobody says what it is.
        """
        handler: Any = None
        context = self.run.provider
        parent = declaration.provider._level.handler
        if definition is not None:
            handler = definition.handler
        elif output is not None and output.sink.child_handler is not None:
            handler = output.sink.child_handler(context, output.action)
        elif hasattr(parent, "child_handler"):
            handler = parent.child_handler(context, declaration.stable_key)
        if handler is None:
            raise RuntimeError(
                f"no handler for what is inside {format_path((*declaration.provider.path, declaration.stable_key))}: "
                "let its sink return a ChildTargetDef, give the sink a child_handler, or give "
                f"{type(parent).__name__} a child_handler(context_provider, key)"
            )
        assert declaration.child is not None, "not a container"
        level = declaration.child._level
        level.handler = handler
        level.generation = own
        level.owner = None
        self.run.containers[declaration.key] = declaration.child


def by_depth(changes: list[Change]) -> list[list[Change]]:
    """What is declared first; then what goes, what is inside a container before the container."""
    if not changes:
        return []
    if all(change.declaration is not None for change in changes) or len(changes) == 1:
        return [changes]
    groups: dict[int, list[Change]] = {}
    for change in changes:
        depth = 0 if change.declaration is not None else len(decode_path(change.key))
        groups.setdefault(depth, []).append(change)
    declared = groups.pop(0, [])
    removed = [groups[depth] for depth in sorted(groups, reverse=True)]
    if removed:
        removed[0] = declared + removed[0]
        return removed
    return [declared]


def _valid(entry: TargetEntry | None, generation: tuple[int, int]) -> tuple[list[bytes], bool]:
    """What the target may hold, given what has happened to its container since."""
    if entry is None or entry.container[0] < generation[0]:
        return [], True
    return entry.possible, entry.maybe_missing or entry.container != generation
