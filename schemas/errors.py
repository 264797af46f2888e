"""The one error tree of the change feed.

    FeedError                 carries a hint: what the operator can do about it
    ├── RetryableError        the same call may work later: back off, within a bound, and try again
    ├── PoisonError           this one record can never work: keep it whole in the dead-letter topic, go on
    └── FatalError            going on would break a promise: stop, non-zero, positions untouched
        └── ConfigError       what the user wrote cannot work; one sentence a fault

Every error that leaves a folder of this project is one of these. They are never logged and forgotten: a retry counts
them, a dead letter quotes them, or the process ends with them.
"""

from __future__ import annotations


class FeedError(Exception):
    """Root of the tree. ``str(error)`` is one sentence that says what happened; ``hint`` says what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class RetryableError(FeedError):
    """The same call may work later (throttled, timed out, broker away)."""


class PoisonError(FeedError):
    """This record can never become an event or an effect, however often it is tried.

    ``path`` names the place inside the record (``after.lines[2].price``), empty when the record as a whole is meant.
    """

    def __init__(self, message: str, *, hint: str, path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class FatalError(FeedError):
    """Going on would break a promise: the process stops, non-zero, and leaves positions as they are."""


class ConfigError(FatalError):
    """The configuration or the environment cannot work; ``faults`` has one sentence for each fault."""

    def __init__(self, message: str, *, hint: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults or (message,)
