"""`python -m facecli`."""

from facecli.cli import main

main()
