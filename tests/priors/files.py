"""What a folder holds, to see whether a read has left it as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of the last change of everything in a folder, and of the folder itself.

    A file that was made and removed again shows in the folder's own time.
    """
    return {
        str(p): (
            hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "",
            p.stat().st_mtime_ns,
        )
        for p in [folder, *folder.rglob("*")]
    }
