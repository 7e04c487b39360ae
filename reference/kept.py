"""Programs that failed, kept in a file, one on each line: tried first the next time, until they agree again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reference.program import NotAProgram, Program, parse

MOST = 100  # of the lines, the latest: what fails all over is not worth more


class Kept:
    """A file of failing programs.

    Args:
        path: of the file; None to keep nothing. It need not be there.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def programs(self) -> list[Program]:
        """Read the programs. A line that this version cannot read is passed over, and goes at the next `keep`."""
        if self._path is None or not self._path.is_file():
            return []
        programs = []
        for line in self._path.read_text().splitlines():
            try:
                programs.append(parse(line))
            except NotAProgram:
                continue
        return programs

    def keep(self, programs: Iterable[Program]) -> None:
        """Let the file hold these programs, each once, and no others. Without any, there is no file."""
        lines = list(dict.fromkeys(map(str, programs)))[-MOST:]
        if self._path is None or (not lines and not self._path.exists()):
            return
        if not lines:
            self._path.unlink()
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(self._path.name + ".new")
        unfinished.write_text("".join(f"{line}\n" for line in lines))
        unfinished.replace(self._path)
