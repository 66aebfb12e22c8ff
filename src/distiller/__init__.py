"""DistillER: entity resolution by distilling a language-model teacher into a small student."""

import os
from typing import TYPE_CHECKING, Any

# OpenMP threads that wait by spinning steal the cores from each other when two libraries or jobs each have their own
# (seen: 35 s became 314 s). It must be set before the first of them is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# A moment of spinning before sleep spares the many small steps of boosting a trip through the kernel (21.6 s became 3.5 s).
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from distiller.saved import SavedStudent as SavedStudent
    from distiller.saved import load as load


def __getattr__(name: str) -> Any:
    """`distiller.load` and `distiller.SavedStudent`, imported when they are first used, so that the package loads at once."""
    if name in ("load", "SavedStudent"):
        from distiller import saved

        return getattr(saved, name)
    raise AttributeError(f"module 'distiller' has no attribute {name!r}")
