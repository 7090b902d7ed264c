"""``python -m scenarios.proofs WORD …``: prove the programs that have all words in their names, one after the other,
for as long as that takes; a row of a Markdown table for each. ``make verify`` gives each a few seconds.

Exit code 1: something failed; 3: something was not finished; 130: interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys

from liveproof_sim import Status, Verdict
from scenarios.proofs import PROOFS, prove
from scenarios.verify.proofs import number


def row(name: str, verdict: Verdict) -> str:
    """What came of it."""
    cuts = number(verdict.reduction["cuts"]) if "cuts" in verdict.reduction else ""
    return f"| {name} | {verdict.status.value} | {number(verdict.executions)} | {cuts} | {verdict.seconds:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.proofs", description="Prove programs of the runtime.")
    parser.add_argument("words", nargs="+", metavar="WORD", help="of the name: 'death', 'readiness', 'full ‖ full'")
    parser.add_argument("--seconds", type=float, metavar="S", help="for each, at most (default: no limit)")
    options = parser.parse_args()
    names = [name for name in PROOFS if all(word in name for word in options.words)]
    if not names:
        sys.stderr.write(f"no program has {' and '.join(map(repr, options.words))} in its name\n")
        return 2
    logging.getLogger("liveproof").addHandler(logging.NullHandler())  # what fails here fails on purpose
    print("| program | verdict | executions | cuts | seconds |\n|---|---|--:|--:|--:|")
    verdicts = []
    for name in names:
        verdict = prove(name, options.seconds)
        verdicts.append(verdict)
        print(row(name, verdict), flush=True)
        if verdict.failure is not None:
            print(verdict.failure.report, file=sys.stderr)
    if any(verdict.failure is not None for verdict in verdicts):
        return 1
    return 3 if any(verdict.status is not Status.PROVED for verdict in verdicts) else 0


if __name__ == "__main__":
    raise SystemExit(main())
