r"""Glob patterns over relative paths with forward slashes; the syntax of Rust's ``globset``.

::

    ?          one character, but not "/"
    *          any number of characters other than "/"
    **         as a whole component: any number of components. "**/x" matches "x" and "a/b/x",
               "a/**/x" matches "a/x" and "a/b/x", "a/**" matches everything below "a", not "a"
    {a,b}      either pattern; may be nested, may contain "/"
    [ab] [a-z] one of these characters; [!ab] or [^ab]: one other than these and "/"
    \x         the character x itself

Case matters, and so does a leading dot: it is a character like any other. A pattern matches a whole path,
so "*.py" stands for the files of the root only.
"""

from __future__ import annotations

import re

__all__ = ["Glob"]

ALTERNATIVES_MAX = 1024
"""How many patterns the braces of one pattern may stand for."""

_ANY = None  # the component "**"
_Component = re.Pattern[str] | None


class Glob:
    """One compiled pattern."""

    __slots__ = ("_alternatives", "_whole", "pattern")

    def __init__(self, pattern: str) -> None:
        """Raises ``ValueError`` that names the pattern, and says what is wrong with it."""
        if not isinstance(pattern, str):
            raise TypeError(f"a glob pattern is a str, not {type(pattern).__name__}: {pattern!r}")
        self.pattern = pattern
        if not pattern:
            raise _bad(pattern, "it is empty, and would match nothing")
        compiled = [_components(pattern, text) for text in _expand_braces(pattern)]
        self._whole = re.compile("|".join(map(_join, compiled)), re.DOTALL)
        self._alternatives: list[list[_Component]] = [
            [_ANY if part is _ANY else re.compile(part, re.DOTALL) for part in parts] for parts in compiled
        ]

    def matches(self, path: str) -> bool:
        """Whether the pattern matches the whole of ``path``."""
        return self._whole.fullmatch(path) is not None

    def may_match_below(self, directory: str) -> bool:
        """Whether some path inside ``directory`` could match."""
        names = directory.split("/")
        return any(_reaches(parts, names) for parts in self._alternatives)

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


def _bad(pattern: str, why: str) -> ValueError:
    return ValueError(f"invalid glob pattern {pattern!r}: {why}")


def _reaches(parts: list[_Component], names: list[str]) -> bool:
    """Whether the pattern has something left when all ``names`` are used up."""
    for part, name in zip(parts, names, strict=False):
        if part is _ANY:
            return True  # it can swallow the rest, and what follows it can match further down
        if part.fullmatch(name) is None:
            return False
    return len(parts) > len(names)


def _join(parts: list[str | None]) -> str:
    """The regular expression for a sequence of components."""
    out: list[str] = []
    last = len(parts) - 1
    for at, part in enumerate(parts):
        if part is not _ANY:
            out.append(part if at == last else part + "/")
        elif at < last:
            out.append("(?:[^/]+/)*")
        else:
            out.append(".+" if at else ".*")
    return "".join(out)


def _components(pattern: str, text: str) -> list[str | None]:
    """The components of a pattern without braces, each as a regular expression."""
    parts: list[str | None] = []
    part: list[str] = []
    raw_start = at = 0
    while at <= len(text):
        char = text[at : at + 1]
        if char in ("", "/"):
            if text[raw_start:at] != "**":
                parts.append("".join(part))
            elif not parts or parts[-1] is not _ANY:  # "**/**" says no more than "**"
                parts.append(_ANY)
            part = []
            raw_start = at + 1
        elif char == "*":
            part.append("[^/]*")
        elif char == "?":
            part.append("[^/]")
        elif char == "[":
            at = _character_class(pattern, text, at, part)
        elif char == "\\":
            at += 1
            part.append(re.escape(text[at]))
        else:
            part.append(re.escape(char))
        at += 1
    return parts


def _character_class(pattern: str, text: str, start: int, part: list[str]) -> int:
    """Translate the class that begins at ``start``; returns where it ends."""
    at = start + 1
    negated = text[at : at + 1] in ("!", "^")
    at += negated
    ranges: list[str] = []
    first = True
    while first or text[at : at + 1] != "]":
        if at >= len(text):
            raise _bad(pattern, "a '[' is not closed; write '\\[' for the character itself")
        low, at = _class_character(pattern, text, at)
        high = low
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _class_character(pattern, text, at + 1)
        if low > high:
            raise _bad(pattern, f"the range {low}-{high} runs backwards")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        first = False
    # A class never matches the separator, whatever it lists.
    part.append(f"(?!/)[{'^' if negated else ''}{''.join(ranges)}]")
    return at


def _class_character(pattern: str, text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\":
        at += 1
        if at >= len(text):
            raise _bad(pattern, "it ends in a '\\' that escapes nothing")
    return text[at], at + 1


def _expand_braces(pattern: str) -> list[str]:
    """The patterns without braces that a pattern stands for."""
    texts, at = _alternatives(pattern, 0, depth=0)
    assert at == len(pattern), "text left over"
    return texts


def _alternatives(pattern: str, at: int, depth: int) -> tuple[list[str], int]:
    """All that the text from ``at`` to the end of this pair of braces stands for, and where that is."""
    done: list[str] = []
    current = [""]
    while at < len(pattern):
        char = pattern[at]
        if char == "{":
            inner, at = _alternatives(pattern, at + 1, depth + 1)
            current = [head + tail for head in current for tail in inner]
        elif char == "}" and depth:
            return done + current, at
        elif char == "}":
            raise _bad(pattern, "a '}' was not opened; write '\\}' for the character itself")
        elif char == "," and depth:
            done += current
            current = [""]
        else:
            end = _plain_end(pattern, at)
            current = [head + pattern[at:end] for head in current]
            at = end - 1
        at += 1
        if len(done) + len(current) > ALTERNATIVES_MAX:
            raise _bad(pattern, f"its braces stand for more than {ALTERNATIVES_MAX} patterns")
    if depth:
        raise _bad(pattern, "a '{' is not closed; write '\\{' for the character itself")
    return current, at


def _plain_end(pattern: str, at: int) -> int:
    """Where the item at ``at`` ends: a character, an escape, or a class (braces mean nothing in it)."""
    if pattern[at] == "\\":
        if at + 1 >= len(pattern):
            raise _bad(pattern, "it ends in a '\\' that escapes nothing")
        return at + 2
    if pattern[at] == "[":
        return _character_class(pattern, pattern, at, []) + 1
    return at + 1
