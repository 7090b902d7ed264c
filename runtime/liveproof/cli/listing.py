"""``ls`` and ``show``: what a store knows, as lines for people and as objects for machines.

Objects of ``--json``, format version 1, before the ``result``. ``ls``, for each app (``runs`` is 0 for one
that was never updated; ``variables`` are the names it has in the module that was named)::

    {"type": "app", "name": "docs", "store": "/…/state.db", "variables": ["app"], "runs": 3, "components": 5,
     "target_states": 4, "in_doubt": 0}

``show``, for each component, parents first::

    {"type": "component", "path": "/@each/a.md", "mounted_by": "/", "processor": "process_file",
     "memoized": true, "target_states": [{"path": "/…", "certainty": "certain" or "uncertain" or
     "may be missing", "possible": 1, "may_be_missing": false}]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from liveproof.cli.output import Output
from liveproof.errors import StoreUnavailableError
from liveproof.inspection import AppView, Component, TreeNode, open_store, printable, tree_of

__all__ = ["list_apps", "show_components"]


# --- ls ---


def list_apps(out: Output, stores: Mapping[Path, Mapping[str, Sequence[str]]], *, required: bool) -> int:
    """List the apps of each store, and those that its module defines (name → variables) and it does not
    know. Returns how many.

    Raises:
        StoreError: a store can't be read. One that is not there is an error only if it is ``required``.
    """
    listed = 0
    for path, defined in stores.items():
        apps = _apps_of(path, required=required)
        apps += [AppView(name, 0, 0, 0, 0) for name in defined if all(app.name != name for app in apps)]
        listed += len(apps)
        for line in _table(path, apps, defined if any(stores.values()) else None):
            out.line(line)
        for app in apps:
            out.data(
                {
                    "type": "app",
                    "name": app.name,
                    "store": str(path),
                    "variables": list(defined.get(app.name, ())),
                    "runs": app.runs,
                    "components": app.components,
                    "target_states": app.targets,
                    "in_doubt": app.in_doubt,
                }
            )
    return listed


def _apps_of(path: Path, *, required: bool) -> list[AppView]:
    try:
        with open_store(path) as view:
            return [app for name in view.app_names() if (app := view.app(name)) is not None]
    except StoreUnavailableError:
        if required or path.exists():
            raise
        return []


def _table(
    path: Path, apps: list[AppView], defined: Mapping[str, Sequence[str]] | None
) -> Iterator[str]:
    yield f"store {path}"
    if not apps:
        yield "  no apps"
        return
    rows = [["app", "runs", "components", "target states", "in doubt"]]
    for app in apps:
        numbers = (app.runs, app.components, app.targets, app.in_doubt)
        rows.append([printable(app.name), *(str(number) if app.runs else "-" for number in numbers)])
    if defined is not None:
        rows[0].append("variable")
        for row, app in zip(rows[1:], apps, strict=True):
            row.append(", ".join(defined.get(app.name, ())) or "(not in this module)")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:5], widths[1:5]), *row[5:]]
        yield ("  " + "  ".join(cells)).rstrip()


# --- show ---


def show_components(
    out: Output, store: Path, app: str | None, below: str, *, tree: bool, targets: bool, long: bool
) -> int | str:
    """Show an app's components, all or those at or below a path. Returns how many, or what was not found.

    Raises:
        StoreError: the store can't be read.
    """
    with open_store(store) as view:
        names = view.app_names()
        if app is None:
            if len(names) != 1:
                there = ", ".join(map(repr, names)) or "none"
                return f"store {view.path} has {len(names)} apps ({there}): say which with --app-name"
            (app,) = names
        if app not in names:
            there = ", ".join(map(repr, names)) or "none"
            return f"store {view.path} does not know app {app!r}; it has {there}"
        components = list(view.components(app, below))
    if not components and below.strip("/"):
        return f"app {app!r} has no component at {below}"
    in_doubt = sum(target.certainty != "certain" for each in components for target in each.targets)
    owned = sum(len(each.targets) for each in components)
    out.line(f"{app}: {len(components)} components, {owned} target states, {in_doubt} in doubt")
    if not out.as_json:
        for line in (_tree if tree else _flat)(components, targets=targets, long=long):
            out.line(line)
    for component in components:
        out.data(_as_data(component))
    return len(components)


def _as_data(component: Component) -> dict[str, Any]:
    return {
        "type": "component",
        "path": component.path,
        "mounted_by": component.owner,
        "processor": component.processor,
        "memoized": component.memoized,
        "target_states": [
            {
                "path": target.path,
                "certainty": target.certainty,
                "possible": target.possible,
                "may_be_missing": target.may_be_missing,
            }
            for target in component.targets
        ],
    }


def _described(component: Component, name: str, *, targets: bool, long: bool) -> str:
    notes = [component.processor]
    if component.memoized:
        notes.append("memoized")
    if long and component.owner is not None:
        notes.append(f"mounted by {component.owner}")
    if component.targets and not targets:
        notes.append(f"{len(component.targets)} target state{'s' if len(component.targets) > 1 else ''}")
    return f"{name} ({', '.join(notes)})"


def _flat(components: list[Component], *, targets: bool, long: bool) -> Iterator[str]:
    for component in components:
        yield _described(component, component.path, targets=targets, long=long)
        if targets:
            yield from (f"    → {target.path}  {target.in_words}" for target in component.targets)


def _tree(components: list[Component], *, targets: bool, long: bool) -> Iterator[str]:
    for root in tree_of(iter(components)):
        yield from _branch(root, root.component.path, "", "", targets=targets, long=long)


def _branch(
    top: TreeNode, name: str, head: str, stem: str, *, targets: bool, long: bool
) -> Iterator[str]:
    """A node and what is below it. Not recursive: a tree may be deeper than Python's stack is kind to."""
    left = [(top, name, head, stem)]
    while left:
        node, name, head, stem = left.pop()
        component = node.component
        yield head + _described(component, component.path if long else name, targets=targets, long=long)
        if targets:
            rail = "│   " if node.children else "    "
            yield from (f"{stem}{rail}→ {target.path}  {target.in_words}" for target in component.targets)
        last = len(node.children) - 1
        for at, child in reversed(list(enumerate(node.children))):
            corner, rail = ("└── ", "    ") if at == last else ("├── ", "│   ")
            left.append((child, child.component.name, stem + corner, stem + rail))
