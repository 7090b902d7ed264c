"""The page's own code as modules: its text from ``page/``, word for word, with ``import liveproof as coco``
for its import, and before it the glue that the page leaves to its reader."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parent / "page"


def snippet(name: str) -> str:
    """One piece of the page's code, with our import for its."""
    return (PAGE / f"{name}.txt").read_text("utf-8").replace("import cocoindex as coco", "import liveproof as coco")


def module(folder: Path, name: str, *parts: str) -> ModuleType:
    """A module of these parts, imported from a file in ``folder``."""
    path = folder / f"{name}.py"
    path.write_text("\n\n".join(parts), "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "it is a .py file"
    assert spec.loader is not None, "it is a .py file"
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        spec.loader.exec_module(made)
    finally:
        del sys.modules[name]
    return made
