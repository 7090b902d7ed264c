"""After a run that did not come to its end: let the store agree with itself again.

What a commit says of one component may reach the store before what it says of another (a commit waits
until its targets are durable, a state's next owner need not). While the process lives, reads see all of it.
After a crash the store may list a state under two components, or own a state that no component lists. Then
the owner is right, wherever it lists the state; a state that somebody lists is owned by one of those; and
what nobody lists is nobody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liveproof.abc.points import reached
from liveproof.abc.store import Table
from liveproof.core.records import decode_record, encode_record

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.run import Run

__all__ = ["recover"]


async def recover(run: Run) -> None:
    """Mend what an interrupted run of the app left behind in the store. Reads all of the app's rows."""
    ledger = run.ledger
    at = len(run.prefix)
    rows = [(key, decode_record(raw)) for key, raw in await ledger.components_gently(run.prefix)]
    owners = {key[at:]: owner for key, owner in ledger.entries(Table.OWNER, run.prefix)}
    listed: dict[bytes, bytes] = {}
    for key, record in rows:
        for target in record.targets:
            if target not in listed or owners.get(target) == key:
                listed[target] = key
    writes: list[Write] = []
    for key, record in rows:
        mine = {target: entry for target, entry in record.targets.items() if listed[target] == key}
        if len(mine) != len(record.targets):
            record.targets = mine
            record.memo = None
            writes.append((Table.COMPONENT, key, encode_record(record)))
    writes += [run.own(target, key) for target, key in listed.items() if owners.get(target) != key]
    writes += [run.own(target, None) for target in owners if target not in listed]
    if writes:
        reached("recovery.mended")
        ledger.put(writes)
