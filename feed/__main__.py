"""``python -m feed``: the ``feed`` command where its script is not on the path."""

from feed.cli import main

main()
