"""A program of one's own as a part: a producer, a consumer, whatever should be killed and started with the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feed.local.part import ProcessPart, Site


class Program(ProcessPart):
    """``argv`` as a part, with a log, a guardian and the faults of the others.

    ``is_up`` says whether it answers, for example by its ``/readyz``; ``None`` for one that is ready when it runs.
    """

    def __init__(
        self,
        name: str,
        site: Site,
        *,
        argv: Sequence[str],
        is_up: Callable[[], bool] | None = None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, site)
        self._argv = tuple(argv)
        self._is_up = is_up
        self._addresses = dict(addresses or {})

    @property
    def addresses(self) -> Mapping[str, str]:
        """As given."""
        return self._addresses

    def command(self) -> Sequence[str]:
        """As given."""
        return self._argv

    def is_ready(self) -> bool:
        """Runs, and answers where something was given to ask."""
        return self.pid is not None and (self._is_up is None or self._is_up())
