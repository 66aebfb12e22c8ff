"""Runs a script of `benchmarks/` as `python benchmarks/x.py` does, but in this process, which has imported everything."""

import contextlib
import io
import runpy
import sys

from command import RUN

SCRIPTS = RUN.parent / "benchmarks"


def script(name, *words, code=0):
    """What the script says on both streams, after it is clear that it ends with this exit code."""
    said, before = io.StringIO(), (sys.argv, sys.path[:])
    sys.argv = [str(SCRIPTS / f"{name}.py"), *map(str, words)]
    sys.path.insert(0, str(SCRIPTS))
    ended = 0
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as left:
        ended = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        said.write(left.code if isinstance(left.code, str) else "")
    finally:
        sys.argv, sys.path[:] = before
    assert ended == code, said.getvalue()
    return said.getvalue()
