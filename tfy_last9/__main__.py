"""`python -m tfy_last9`: the same as the `tfy-last9` command."""

from tfy_last9.cli.main import main

main()
