"""The ``feed`` command.

Promises: every command has ``--help`` with an example; what is wrong is said in one sentence with a hint, without a
traceback; exit code 0 is success, 1 that something was found wrong or could not go on, 2 that nothing was started.
"""

from feed.cli.app import app, main

__all__ = ["app", "main"]
