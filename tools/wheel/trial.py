"""A wheel of this checkout in an environment of its own, and an empty directory to run it from."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(directory: Path) -> Path:
    """Build the wheel of this checkout; its path."""
    command = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(ROOT))
    _python(Path(sys.executable), *command)
    (wheel,) = directory.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Trial:
    """An environment with the wheel, and the directory from which pytest is called."""

    python: Path
    directory: Path

    @classmethod
    def prepare(cls, scratch: Path, wheel: Path, *, borrowed: bool) -> Trial:
        """Make both below ``scratch``.

        ``borrowed``: of the libraries it depends on, take those of the running environment instead
        of installing the pinned ones; of the project itself nothing but the wheel.
        """
        _python(Path(sys.executable), "-m", "venv", str(scratch / "environment"))
        trial = cls(scratch / "environment" / "bin" / "python", scratch / "empty")
        trial.directory.mkdir()
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if borrowed:
            _python(trial.python, *install, "--no-deps", "--no-index", str(wheel))
            borrow = trial.package.parent / "borrowed.pth"
            borrow.write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
        else:
            pinned = ("--constraint", str(ROOT / "requirements.lock"))
            _python(trial.python, *install, *pinned, str(wheel))
        return trial

    @property
    def package(self) -> Path:
        """Where the wheel's package was installed."""
        return next((self.python.parent.parent / "lib").glob("python*/site-packages/blindspot"))

    def installed(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file that was installed, byte code left out."""
        return {
            str(path.relative_to(self.package.parent)): (found.st_size, found.st_mtime_ns)
            for path in self.package.parent.rglob("*")
            if "__pycache__" not in path.parts and path.is_file() and (found := path.stat())
        }

    def pytest(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call pytest from the empty directory."""
        return self.call(str(self.python), "-m", "pytest", *words)

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Call a program from the empty directory; ``python`` is that of the environment."""
        kept = {name: value for name, value in os.environ.items() if name in _NEEDED}
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', '')}"
        home = str(self.directory.parent / "home")
        return subprocess.run(
            words,
            cwd=self.directory,
            env=kept | {"HOME": home, "COLUMNS": "80", "PATH": path} | env,
            capture_output=True,
            text=True,
            check=False,
        )


#: Of the environment only what a machine needs to run Python at all.
_NEEDED = ("PATH", "TMPDIR", "LANG", "LC_ALL", "OMP_NUM_THREADS")


def _python(python: Path, *words: str) -> None:
    done = subprocess.run([python, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join([str(python), *words])}\n{done.stdout}{done.stderr}")
