"""Pickles that leave a trace when they are opened, to lay where somebody might open them."""

import pickle
from pathlib import Path

PICKLES = ("model.pkl", "pytorch_model.bin", "adapter_model.bin", "training_args.bin", "student.pt", "head.bin")


def spring(trace: str) -> None:
    """Leave the trace, and fail."""
    Path(trace).write_text("it ran")
    raise AssertionError("sprung")


class Trap:
    """Opening `pickled` writes the file `trace`."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return spring, (str(self.trace),)

    @property
    def pickled(self) -> bytes:
        """The pickle."""
        return pickle.dumps(self)

    @property
    def sprung(self) -> bool:
        """Whether somebody opened it."""
        return self.trace.exists()

    def lay(self, folder: Path) -> None:
        """Put it under every name that libraries look for into a folder and those within."""
        for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            for name in PICKLES:
                (place / name).write_bytes(self.pickled)
