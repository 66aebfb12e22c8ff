"""The command `distiller report`, from the source tree.

python benchmarks/report.py RUN [-o report.html] [--examples 12] [--store FOLDER]
"""

import sys

from distiller.command import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
