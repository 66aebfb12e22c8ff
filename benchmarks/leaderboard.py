"""The command `distiller leaderboard`, from the source tree; see `distiller.board.leaderboard`.

python benchmarks/leaderboard.py outputs/ [more folders] [--to FOLDER] [--metrics NAME ...] [--forms final]
"""

import sys

from distiller.command import main

if __name__ == "__main__":
    main(["leaderboard", *sys.argv[1:]])
