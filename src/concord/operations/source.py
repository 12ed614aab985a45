"""This software's own source, as one archive whose bytes depend on nothing but the source.

Whoever runs a node can hand on what it runs. The archive holds the files of the checkout that the node runs from (what git
tracks, if git is there), or else of the installed package; in order, owned by nobody, dated 1980.

>>> archive() == archive()
True
"""

import gzip
import io
import subprocess
import tarfile
from pathlib import Path
from shutil import which

import concord

_EPOCH = 315_532_800  # 1 January 1980, POSIX seconds


def archive() -> bytes:
    """The archive, tar.gz."""
    root, paths = _files()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in paths:
            content = (root / path).read_bytes()
            member = tarfile.TarInfo(f"{name()}/{path.as_posix()}")
            member.size, member.mtime = len(content), _EPOCH
            member.mode = 0o755 if (root / path).stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def name() -> str:
    """What the archive is called, without its suffix."""
    return f"concord-{concord.__version__}"


def _files() -> tuple[Path, list[Path]]:
    """The folder to pack, and the files in it, sorted."""
    package = Path(concord.__file__).parent
    root = package.parents[1]
    if (root / "pyproject.toml").is_file() and (root / "src") == package.parent:
        return root, sorted(_tracked(root) or _found(root))
    return package, sorted(_found(package))


def _tracked(root: Path) -> list[Path]:
    git = which("git")
    if git is None or not (root / ".git").exists():
        return []
    listed = subprocess.run([git, "-C", str(root), "ls-files", "-z"], capture_output=True, check=False)  # noqa: S603  git, found
    paths = [Path(line) for line in listed.stdout.decode().split("\0") if line]
    return [path for path in paths if (root / path).is_file()]


def _found(root: Path) -> list[Path]:
    """Without git: the source and what belongs to it, no caches and nothing that was made."""
    kept = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    made = {"__pycache__", ".venv", "var", "node_modules", ".git"}
    return [path for path in kept if not made & set(path.parts) and not any(part.startswith(".") for part in path.parts[:-1])]
