"""Changes of the runtime that no test should let pass, as data: where, what it says, what it is to say instead,
and the scenario that notices it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BY_NAME", "MUTANTS", "Mutant", "Scenario"]


class Scenario(NamedTuple):
    """One of ``scenarios/recovery``, and how it is explored."""

    name: str
    """module and function"""
    crash_points: str = "none"
    crashes: int = 1


CATCH_UP = Scenario("catch_up.any_versions", "calls", 2)
RETRY = Scenario("catch_up.retried_delete", "calls")
MOVED = Scenario("catch_up.moved_state", "calls")
TAKEN = Scenario("catch_up.taken_over", "calls", 2)
BACK = Scenario("catch_up.taken_back", "calls")
BOXES = Scenario("catch_up.containers", "calls", 2)
LIVE_MOVES = Scenario("live_moves.moves", "calls")
LIVE_AGAIN = Scenario("live_again.again", "calls")
FOLDER = Scenario("folder.catch_up", "calls", 2)
FOLDER_LIVE = Scenario("folder.live", "calls")
READERS = Scenario("folder.readers_see_whole_files")
PROGRAMS = Scenario("operators.programs")
BARRIER = Scenario("operators.full_is_a_barrier")
CHILD = Scenario("operators.deleted_child")
HANDLES = Scenario("operators.replaced_handles")
BAD_STORE = Scenario("bad_store.runs")
ANY_FAULTS = Scenario("any_faults.walked", "calls", 3)
DIES = Scenario("processes.any_versions", "calls", 2)
REFUSED = Scenario("processes.refused", "calls", 2)
CANCELLED = Scenario("cancelled.operations")


class Mutant(NamedTuple):
    """One change."""

    what: str
    scenario: Scenario
    file: str
    """below ``runtime/liveproof``"""
    old: str
    new: str
    named: bool = False
    """whether the project's plan asks for it by name"""


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "record before apply: the intent is recorded after the sink was called",
        CATCH_UP,
        "core/submit.py",
        "        run.ledger.record(writes, recorded)\n        run.show(records)\n"
        "        await self._left.over(self)\n",
        "        recorded(None)\n        await self._left.over(self)\n        run.ledger.put(writes)\n",
        named=True,
    ),
    Mutant(
        "sync before sink: the sink is called before the intent is on the device",
        CATCH_UP,
        "core/ledger.py",
        "if error is None and durable and self.store.blocking:",
        "if error is None and durable and self.store.blocking and False:",
        named=True,
    ),
    Mutant(
        "retry of deletes: a deletion that failed is forgotten",
        RETRY,
        "core/collect.py",
        "if part.error is not None or any(",
        "if any(",
        named=True,
    ),
    Mutant(
        "rename of temporary files: a file is written in its place",
        READERS,
        "connectors/localfs/_write.py",
        "            filesystem.write(temporary, content, mode=mode)\n"
        "            filesystem.replace(temporary, job.path)\n",
        "            filesystem.write(job.path, b'', mode=mode)\n"
        "            filesystem.write(job.path, content, mode=mode)\n",
        named=True,
    ),
    Mutant(
        "the barrier of update_full: operations start beside it",
        BARRIER,
        "core/operations.py",
        "        if head.full is not None or not head.ready:",
        "        if not head.ready:",
        named=True,
    ),
    Mutant(
        "waiting in mark_ready: ready at once",
        PROGRAMS,
        "core/live.py",
        "            await self._reached(self._last_seq())\n            self._become_ready(None)",
        "            self._become_ready(None)",
        named=True,
    ),
    Mutant(
        "outcome of replaced handles: a replaced operation is ready at once",
        HANDLES,
        "core/live.py",
        "                    successor.followers += [replaced, *replaced.followers]\n"
        "                    replaced.followers = []",
        "                    replaced.resolve(None)",
        named=True,
    ),
    Mutant(
        "drain of a live child before its deletion: it lives on",
        CHILD,
        "core/run.py",
        "        while self.controllers:\n            below",
        "        while False:\n            below",
        named=True,
    ),
    Mutant(
        "update_full starts although earlier operations still run",
        BARRIER,
        "core/operations.py",
        "        if head.full is None and head.root.below == 0 and len(self._epochs) > 1:\n"
        '            assert self._running == 0, "a FULL overlaps nothing"\n',
        "        if head.full is None and len(self._epochs) > 1:\n",
    ),
    Mutant(
        "operations on one sub-path overlap: nobody waits for the one that runs",
        PROGRAMS,
        "core/operations.py",
        "op._blockers = blockers + node.below + (node.running is not None)",
        "op._blockers = blockers + node.below",
    ),
    Mutant(
        "the watermark is the last operation invoked",
        PROGRAMS,
        "core/operations.py",
        "        for first in self._live:\n            return first - 1\n",
        "",
    ),
    Mutant(
        "handles are ready when their operation starts",
        PROGRAMS,
        "core/live.py",
        "                    if op.kind is Kind.FULL:\n",
        "                    _call_of(op).resolve(None)\n                    if op.kind is Kind.FULL:\n",
    ),
    Mutant(
        "a cycle does not collect",
        CATCH_UP,
        "core/conclusion.py",
        "    if known and any(key not in cycle.mounted for key in known):",
        "    if known and False:",
    ),
    Mutant(
        "a container is sure before it is settled",
        BOXES,
        "core/plan.py",
        "        if not self.doubtful:\n            return self.entries\n",
        "        return self.entries\n",
    ),
    Mutant(
        "the commit does not wait for its targets to be settled",
        CATCH_UP,
        "core/conclusion.py",
        "    applied = [] if part is None else part.applied\n",
        "    applied: list[object] = []\n",
    ),
    Mutant(
        "deletions do not wait for their targets to be settled",
        CATCH_UP,
        "core/collect.py",
        "        run.commit(writes, {part.key: part.removed if applied else {} for part in parts}, applied)",
        "        run.ledger.put(writes)",
    ),
    Mutant(
        "a commit does not wait for what was applied before it",
        LIVE_AGAIN,
        "core/run.py",
        "        hold = None if applied else self.doubts.last_hold(doubtful)\n",
        "        hold = None\n",
    ),
    Mutant(
        "no mending after a run that was cut short",
        LIVE_MOVES,
        "app.py",
        "            if not clean:\n                await recover(run)\n            return",
        "            return",
    ),
    Mutant(
        "the mending leaves a state under two components",
        LIVE_MOVES,
        "core/recovery.py",
        "        if len(mine) != len(record.targets):",
        "        if False:",
    ),
    Mutant(
        "the former owner of a state keeps its memo",
        BACK,
        "core/plan.py",
        "        former.memo = None\n",
        "",
    ),
    Mutant(
        "the new owner of a state is not recorded with the intent",
        TAKEN,
        "core/plan.py",
        "            writes += [self.run.own(key, part.key) for key in part.entries if key not in known]\n",
        "",
    ),
    Mutant(
        "an intent says of a removal that the state is surely there",
        CATCH_UP,
        "core/plan.py",
        "            part.entries[key] = TargetEntry(entry.possible, True, entry.container, entry.own)\n"
        "            part.changed = True\n            changes.append(Change(part, key, None, output, None))",
        "            changes.append(Change(part, key, None, output, None))",
    ),
    Mutant(
        "what is inside a rebuilt container counts as being there",
        BOXES,
        "core/plan.py",
        "    if entry is None or entry.container[0] < generation[0]:\n        return [], True\n"
        "    return entry.possible, entry.maybe_missing or entry.container != generation",
        "    if entry is None:\n        return [], True\n    return entry.possible, entry.maybe_missing",
    ),
    Mutant(
        "writes that failed, or were never begun, are not waited for at the end",
        CATCH_UP,
        "app.py",
        "            await run.settler.drain()\n            if run.settled:",
        "            if run.settled:",
    ),
    Mutant(
        "reads do not see what was just written",
        CATCH_UP,
        "core/ledger.py",
        "        if entry in self._overlay:\n            return self._overlay[entry]\n        return self.store.get",
        "        return self.store.get",
    ),
    Mutant(
        "a component is collected although it was mounted",
        CATCH_UP,
        "core/collect.py",
        "    gone = [key for key in known if key not in cycle.mounted]",
        "    gone = list(known)",
    ),
    Mutant(
        "a memo survives a change of the call",
        CATCH_UP,
        "core/component.py",
        "            and record.memo == self._memo_key\n",
        "",
    ),
    Mutant(
        "the temporary file is left where writing failed",
        FOLDER,
        "connectors/localfs/_write.py",
        "        _remove_if_there(filesystem, temporary_name(job.path))\n",
        "",
    ),
    Mutant(
        "files are not made durable",
        FOLDER,
        "connectors/localfs/_write.py",
        "    for path in files:\n        try:\n            filesystem.sync(path)",
        "    for path in ():\n        try:\n            filesystem.sync(path)",
    ),
    Mutant(
        "names of files are not made durable",
        FOLDER,
        "connectors/localfs/_write.py",
        "    for directory in directories:\n        _nearest(filesystem.sync_dir, directory)",
        "    for directory in ():\n        _nearest(filesystem.sync_dir, directory)",
    ),
    Mutant(
        "a directory that has become empty stays",
        FOLDER,
        "connectors/localfs/_write.py",
        "        if not _remove_if_empty(filesystem, directory):\n            break",
        "        break",
    ),
    Mutant(
        "a state that is taken over leaves its doubt behind",
        LIVE_MOVES,
        "core/plan.py",
        "                self.run.doubts.move(owner, part.key, part.entries)\n",
        "                pass\n",
    ),
    Mutant(
        "a component that comes back has forgotten what it owned",
        CATCH_UP,
        "core/component.py",
        "    raw = run.ledger.get(Table.COMPONENT, key)\n    return None if raw is None else decode_record(raw)",
        "    return None",
    ),
    Mutant(
        "a store that can not be read ends the task of a deletion",
        BAD_STORE,
        "core/collect.py",
        "    except Exception as error:  # noqa: BLE001 - the store's",
        "    except ZeroDivisionError as error:  # noqa: BLE001 - the store's",
    ),
    Mutant(
        "a full update of a component that can not be read never ends",
        ANY_FAULTS,
        "core/live.py",
        "        except Exception as exc:  # noqa: BLE001 - the operation has failed, and the next one must start\n",
        "        except ZeroDivisionError as exc:\n",
    ),
    Mutant(
        "a stop interrupts submissions that have begun",
        CANCELLED,
        "core/component.py",
        "        if self.is_open and self.task is not None:\n            self.run.scheduler.cancel(self.task)",
        "        if self.task is not None:\n            self.run.scheduler.cancel(self.task)",
    ),
    Mutant(
        "the short way records no intent",
        DIES,
        "core/submit.py",
        "if not run.ledger.record_now(writes):",
        "if not run.ledger.record_now([]):",
    ),
    Mutant(
        "the short way applies before it records",
        DIES,
        "core/submit.py",
        "            if not run.ledger.record_now(writes):\n                return False\n",
        "            await ticket.sink.call(ticket.actions)\n"
        "            if not run.ledger.record_now(writes):\n                return False\n",
    ),
    Mutant(
        "the short way takes what failed for applied",
        REFUSED,
        "core/submit.py",
        "        self._applied(ticket, changes)\n        return True\n",
        "        ticket.error = None\n        self._applied(ticket, changes)\n        return True\n",
    ),
)

BY_NAME = {mutant.what: mutant for mutant in MUTANTS}
