"""A fixed workload for stores, as data; and, run as a program, on a store on disk.

    python -m tests.durability.store_workload PATH power|process

It says ``opened``, then ``done N`` after operation N, on stdout, then it closes the store.
"""

from __future__ import annotations

import os
import sys
from typing import Literal, NamedTuple, cast

from liveproof.abc.store import Store, Table, Write
from liveproof.backends.sqlite_store import _LOG_PAGES_QUIET, SqliteStore


class Operation(NamedTuple):
    """One call."""

    kind: Literal["write", "durable", "flush", "journal", "maintain"]
    batch: tuple[Write, ...] = ()


def put(*keys: str, value: str = "v", table: Table = Table.STATE) -> tuple[Write, ...]:
    return tuple((table, key.encode(), value.encode()) for key in keys)


def drop(*keys: str) -> tuple[Write, ...]:
    return tuple((Table.STATE, key.encode(), None) for key in keys)


# What was journaled comes again in the next write, as the protocol asks.
WORKLOAD: tuple[Operation, ...] = (
    Operation("durable", put("a", "b", "c", value="1")),
    Operation("write", put("a", value="2") + drop("b")),
    Operation("write", put("d", value="2", table=Table.MEMO)),
    Operation("flush"),
    Operation("journal", put("e", value="3")),
    Operation("journal", put("a", value="3") + drop("c")),
    Operation("write", put("e", value="3") + put("a", value="3") + drop("c") + put("f", value="long" * 3000)),
    Operation("write", put(*(f"many{n:02}" for n in range(40)), value="x" * 300)),
    Operation("durable", put("g", value="4") + drop("f")),
    Operation("write", put("g", value="5")),
    Operation("maintain"),
    Operation("write", put("h", value="6") + drop("a")),
    Operation("durable", put("h", value="7")),
    Operation("write", put("i", value="8")),
)


def carry_out(store: Store, operation: Operation) -> None:
    """Do it."""
    match operation.kind:
        case "write" | "durable":
            store.write(operation.batch, durable=operation.kind == "durable")
        case "flush":
            store.flush()
        case "journal":
            store.journal(operation.batch)
        case "maintain":
            if isinstance(store, SqliteStore):
                store._log_pages = _LOG_PAGES_QUIET  # as if there were enough for it to have something to do
            store.maintain()


def main(path: str, durability: str) -> None:
    store = SqliteStore(path, durability=cast("Literal['power', 'process']", durability))
    os.write(1, b"opened\n")
    for number, operation in enumerate(WORKLOAD):
        carry_out(store, operation)
        os.write(1, b"done %d\n" % number)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
