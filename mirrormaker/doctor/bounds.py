"""What keeps the doctor's time and memory small, whatever text it is given.

Its files come from anyone: a list that contains itself, brackets without end, or one line of a million pieces must be
told, not waited for.
"""

from __future__ import annotations

import re
from itertools import groupby

import yaml

from schemas.errors import ConfigError

MAX_BYTES = 524_288
"""No configuration is larger; a larger file is another file."""

MAX_DEPTH = 60
"""Levels of YAML or JSON; a ``KafkaMirrorMaker2`` has about ten."""

MAX_VALUES = 5_000
"""Values of a document, with aliases written out: ten aliases of ten, nine deep, would be a billion. Real ones have
some dozens; for each unknown key the nearest known one is searched, a third of a millisecond."""

MAX_CONTINUED_LINES = 1_000
"""Lines that a backslash joins to one. The parser looks at each of them again for every further one."""

MAX_CLUSTERS = 30
"""Names in ``clusters``. Each pair of them is a herder: 30 are 870, which no machine runs in one process."""

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where libyaml is there."""

_HINT = "It reads mm2.properties, connectors' JSON, KafkaMirrorMaker2 YAML, Connect worker properties and IAM policies."
_REPEATED_REPEAT = re.compile(r"[+*}?]\)*[^)]*\)[+*{]")


def check_size(text: str, path: str) -> None:
    """Refuse a text that is larger than any configuration.

    Raises:
        ConfigError: it is.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than a configuration can be ({len(text)} characters).", hint=_HINT)


def check_continued_lines(text: str, path: str) -> None:
    """Refuse more lines joined to one than any value has.

    Raises:
        ConfigError: there are.
    """
    lines = text.splitlines()
    number = 0
    for continued, run in groupby(line.endswith("\\") for line in lines):
        length = sum(1 for _ in run)
        if continued and length > MAX_CONTINUED_LINES:
            raise ConfigError(
                f"{path}, line {number + 1}: {length} lines are joined by a backslash.", hint="No value is that long."
            )
        number += length


def check_depth(text: str, path: str) -> None:
    """Looks at the events of a YAML text, which takes no recursion, before anything is built from them.

    Raises:
        ConfigError: it is nested deeper than any configuration.
        yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                where = f"{path}, line {event.start_mark.line + 1}" if event.start_mark else path
                raise ConfigError(f"{where}: more than {MAX_DEPTH} levels.", hint=_HINT)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def too_many_values(path: str) -> ConfigError:
    """The error of a document that is larger, or deeper, with its aliases written out than any configuration."""
    return ConfigError(
        f"{path} has more keys or levels than a configuration can have.",
        hint=f"At most {MAX_VALUES} values and {MAX_DEPTH} levels, with YAML's aliases written out.",
    )


def may_take_for_ever(pattern: str) -> bool:
    """A pattern that repeats what is itself repeated, such as ``(a+)+``: each letter may double the time."""
    return _REPEATED_REPEAT.search(pattern) is not None
