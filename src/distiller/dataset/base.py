"""What every dataset gives: two tables of records and, where they are known, the gold matches."""

from distiller.config import Component
from distiller.records import Records


class Dataset(Component):
    """Two tables whose records are to be matched."""

    def parts(self) -> dict[str, "Dataset"]:
        """The datasets a run works through, by name: several where one pooled student is trained, else itself."""
        return {self.dataset_name(): self}

    def dataset_name(self) -> str:
        """The name under which scores are reported."""
        raise NotImplementedError

    def load(self) -> Records:
        """Both tables and the gold matches, or None for matches nobody knows.

        Raises:
            DistillerError: a file is missing or broken, ids are duplicate, a table is empty.
        """
        raise NotImplementedError
