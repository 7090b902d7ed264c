"""What a walk has seen, so that later changes can be compared with it."""

from __future__ import annotations

__all__ = ["Index"]


def _parent(key: str) -> str:
    return key.rpartition("/")[0]


class Index:
    """The keys of files and directories, as a tree: cutting off a directory costs what is in it."""

    __slots__ = ("_directories", "_files", "links", "links_directories", "targets")

    def __init__(self) -> None:
        self._files: dict[str, dict[str, None]] = {}
        """Directory → files in it."""
        self._directories: dict[str, dict[str, None]] = {}
        """Directory → directories in it."""
        self.links: dict[str, None] = {}
        """Symbolic links, to whatever."""
        self.links_directories = False
        """Whether any of them leads to a directory that is wanted."""
        self.targets: dict[str, dict[str, None]] = {}
        """Real path → the links that end there."""

    def add_file(self, key: str) -> None:
        self._files.setdefault(_parent(key), {})[key] = None

    def add_directory(self, key: str) -> None:
        self._directories.setdefault(key, {})
        if key:
            self._directories.setdefault(_parent(key), {})[key] = None

    def add_link(self, key: str, real: str) -> None:
        self.links[key] = None
        self.targets.setdefault(real, {})[key] = None

    def has_file(self, key: str) -> bool:
        return key in self._files.get(_parent(key), ())

    def has_directory(self, key: str) -> bool:
        return key in self._directories

    def remove_file(self, key: str) -> bool:
        """Forget a file. Whether it was known."""
        files = self._files.get(_parent(key), {})
        if key not in files:
            return False
        del files[key]
        return True

    def cut(self, directory: str) -> tuple[list[str], list[str]]:
        """Forget a directory and everything below it; returns the files and the directories."""
        if directory not in self._directories:
            return [], []
        if directory:
            self._directories.get(_parent(directory), {}).pop(directory, None)
        files: list[str] = []
        directories = [directory]
        for inner in directories:  # grows as it goes
            files += self._files.pop(inner, {})
            directories += self._directories.pop(inner, {})
        return files, directories

    def files(self) -> list[str]:
        """All files, for tests and reports."""
        return sorted(key for names in self._files.values() for key in names)
