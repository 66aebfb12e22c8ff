"""Tables of pandas and polars as Arrow tables, and back."""

from typing import Any

import pyarrow as pa

from distiller.config import DistillerError


def arrow(table: Any) -> pa.Table:
    """A pandas, polars or Arrow table, or anything else that speaks Arrow's C interface, as an Arrow table.

    The index of a pandas table is left away; of its columns those that mix types are taken as text.

    Raises:
        DistillerError: it is none of these, or two of its columns have one name.
    """
    if hasattr(table, "iloc"):
        return _of_pandas(table)
    if not isinstance(table, pa.Table):
        if not hasattr(table, "__arrow_c_stream__"):
            raise DistillerError(
                f"tables are pandas, polars or Arrow tables, got {type(table).__name__}; read a file with pandas, polars or "
                "pyarrow first"
            )
        table = pa.table(table)
    return pa.table(table.columns, names=_distinct(table.column_names))


def like(model: Any, table: pa.Table) -> Any:
    """An Arrow table in the kind of `model`: pandas for pandas, polars for polars, else as it is."""
    package = type(model).__module__.partition(".")[0]
    if package == "pandas":
        return table.to_pandas()
    if package == "polars":
        import polars

        return polars.from_arrow(table)
    return table


def _of_pandas(table: Any) -> pa.Table:
    if getattr(table, "ndim", 0) != 2:
        raise DistillerError(f"tables have columns, got a pandas {type(table).__name__}; give a DataFrame")
    names = _distinct([str(name) for name in table.columns])
    return pa.table([_column(table.iloc[:, place]) for place in range(len(names))], names=names)


def _column(values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        missing = values.isna().to_numpy()
        return pa.array([None if gone else str(v) for v, gone in zip(values, missing, strict=True)], pa.string())


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DistillerError(f"the table has several columns of the name {twice[0]!r}; rename or drop all but one")
    return names
