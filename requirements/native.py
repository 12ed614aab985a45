"""Compiles src/concord/xet/native.c when a wheel or an editable installation is made, if there is a C compiler.

A hook of hatchling (pyproject.toml names it). Without a compiler the wheel is pure, and Concord does the same work with numpy.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

SOURCE = "src/concord/xet/native.c"
LIBRARY = "src/concord/xet/native.library"
FLAGS = ["-O3", "-fPIC", "-shared", "-Wall", "-Wextra"]


class Native(BuildHookInterface):
    """Puts the library beside its source, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before anything is packed. `version` is "editable" or "standard"."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        (root / LIBRARY).unlink(missing_ok=True)
        if not _compiled(root / SOURCE, root / LIBRARY):
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(iter(platform_tags()))}"


def _compiled(source: Path, library: Path) -> bool:
    """Whether there is a library now; why not goes to standard error, for no installation fails for it."""
    line = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, str(source), "-o", str(library)]
    try:
        subprocess.run(line, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as e:
        told = getattr(e, "stderr", "") or e
        print(f"native.c was not compiled, and numpy will do its work more slowly: {told}", file=sys.stderr)
        return False
    return True
