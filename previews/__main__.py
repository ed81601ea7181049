"""`python -m previews` is the `previews` command."""

from previews.cli import main

main()
