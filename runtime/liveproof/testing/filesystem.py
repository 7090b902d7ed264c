"""What every file system must do: :func:`check_filesystem` runs one through all rules."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from liveproof.abc.filesystem import FileSystem
from liveproof.testing.filesystem_rules import RULES, Rule

__all__ = ["check_filesystem"]


def check_filesystem(
    make: Callable[[], tuple[FileSystem, str]],
    run: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
    /,
) -> None:
    """Check a file system against every rule. Raises ``AssertionError`` that names the rule it breaks.

    ``make()`` returns a file system and the path of an empty directory in it: another one for each rule.
    ``run(main)`` runs ``main()`` on an event loop to its end, and raises what that raises. For the machine's
    own files::

        check_filesystem(lambda: (OsFileSystem(), tempfile.mkdtemp(dir=tmp_path)), asyncio_scheduler.run)

    Not found here, because no protocol call can show it: what survives a power cut, symbolic links, and a
    full or damaged device.
    """
    for rule in RULES:
        failures: list[str] = []

        async def main(rule: Rule = rule, failures: list[str] = failures) -> None:
            try:
                checking = rule(*make())
                if checking is not None:
                    await checking
            except Exception as error:  # noqa: BLE001 - whatever a broken file system leads to
                failures.append(str(error) if type(error) is AssertionError else repr(error))

        run(main)
        if failures:
            about = " ".join((rule.__doc__ or "").split())
            raise AssertionError(
                f"the file system breaks the rule {rule.__name__}: {about} Here: {failures[0]}"
            )
