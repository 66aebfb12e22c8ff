"""`python -m distiller.command`, where the console command is not on the path."""

from distiller.command import main

main()
