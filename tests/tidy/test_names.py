"""``__all__`` is complete: it names what the module has, and a facade names all that it imports.

A facade is an ``__init__.py`` that defines nothing of its own. Any other module may have names for its
siblings which it does not offer to the world: those stay out. The order is ruff's business (RUF022);
``test_ruff.py`` shows that ruff minds it.
"""

from __future__ import annotations

import ast

import pytest

from tests.tidy.source import PACKAGES, Finding, Source, read, report


def _bound(body: list[ast.stmt]) -> dict[str, int]:
    """The names that top-level statements bind, with their lines."""
    names: dict[str, int] = {}
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names[node.name] = node.lineno
            case ast.Import() | ast.ImportFrom():
                if getattr(node, "module", None) != "__future__":
                    bound = (alias.asname or alias.name.split(".")[0] for alias in node.names)
                    names |= dict.fromkeys(bound, node.lineno)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                walked = (part for target in targets for part in ast.walk(target))
                names |= {part.id: node.lineno for part in walked if isinstance(part, ast.Name)}
            case ast.If() | ast.Try():
                handlers = node.handlers if isinstance(node, ast.Try) else []
                inner = [*node.body, *node.orelse, *(part for each in handlers for part in each.body)]
                names |= _bound(inner)
            case _:
                pass
    return names


def _exported(tree: ast.Module) -> tuple[int, list[str]] | None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return node.lineno, list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return node.lineno, list(ast.literal_eval(value))
            case _:
                pass
    return None


def _is_facade(source: Source) -> bool:
    """Whether all that the file does is to re-export."""
    bound = _bound([node for node in source.tree.body if not isinstance(node, ast.Import | ast.ImportFrom)])
    return source.path.endswith("/__init__.py") and not bound.keys() - {"__all__", "__getattr__", "__dir__"}


def wrong_exports(source: Source) -> list[Finding]:
    """Names that ``__all__`` lacks, repeats, or has without need."""
    exported = _exported(source.tree)
    if exported is None:
        return []
    line, names = exported
    bound = _bound(source.tree.body)
    findings = [
        Finding(source.path, line, f"__all__ repeats {name}")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if "__getattr__" not in bound:  # a module that makes names on demand has more than can be seen here
        findings += [
            Finding(source.path, line, f"__all__ names {name}, which is not here")
            for name in names
            if name not in bound
        ]
    if _is_facade(source):
        findings += [
            Finding(source.path, at, f"{name} is missing in __all__")
            for name, at in bound.items()
            if not name.startswith("_") and name not in names
        ]
    return findings


def test_all_is_complete() -> None:
    report([finding for source in read(*PACKAGES) for finding in wrong_exports(source)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__all__ = ['a', 'a']\na = 1", "__all__ repeats a"),
        ("__all__ = ['a', 'b']\ndef a(): ...", "__all__ names b, which is not here"),
        ("from x import a, b\n__all__ = ['a']", "b is missing in __all__"),
        ("import x.y\n__all__: list[str] = []", "x is missing in __all__"),
    ],
)
def test_a_planted_name_is_found(text: str, message: str) -> None:
    assert [finding.message for finding in wrong_exports(Source("p/__init__.py", text))] == [message]


def test_a_module_keeps_names_for_its_siblings() -> None:
    assert wrong_exports(Source("p/a.py", "from x import b\n__all__ = ['a']\na = c = 1")) == []
    assert wrong_exports(Source("p/a.py", "a = 1")) == []
    assert wrong_exports(Source("p/__init__.py", "from x import b\n__all__ = ['a']\na = [b]")) == []
    assert wrong_exports(Source("p/__init__.py", "__all__ = ['a']\ndef __getattr__(name): ...")) == []
