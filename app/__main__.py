"""`python -m app` is `postroom`."""

from app.cli import main

main()
