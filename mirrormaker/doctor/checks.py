"""The few shapes that most checks have: a key is absent, has a bad value, or lies on the wrong side of a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mirrormaker.doctor.document import Settings, Value
from mirrormaker.doctor.herder import Herder, Part
from mirrormaker.doctor.rule import Check, Hit
from mirrormaker.doctor.setup import Setup

Condition = Callable[[Herder], bool]


def always(_: Herder) -> bool:
    """No condition."""
    return True


def once(herder: Herder) -> bool:
    """Exactly once is on."""
    return herder.exactly_once is True


def copying(setup: Setup) -> Iterator[Herder]:
    """Herders that copy records."""
    yield from setup.copying


def unless(
    part: Part,
    key: str,
    good: Callable[[str], bool],
    *,
    write: str,
    default: str | None = None,
    when: Condition = always,
) -> Check:
    """A hit for each flow whose part has not got a good value of ``key``; an absent key has its ``default``.

    Args:
        part: whose settings.
        key: as the part reads it.
        good: whether a value is as it should be; a value that cannot be read is not.
        write: the value that the fix names.
        default: Kafka's default; None: absent is never good.
        when: a condition on the flow.
    """

    def check(setup: Setup) -> Iterator[Hit]:
        for herder in setup.copying:
            settings = herder.settings(part, setup.known)
            if settings is None or not when(herder):
                continue
            given = settings.get(key)
            text = given.text.strip() if given else default
            if text is None or not good(text):
                yield hit(herder, part, key, given, write)

    return check


def hit(herder: Herder, part: Part, key: str, given: Value | None, write: str) -> Hit:
    """Points at the value, or at the flow when it is missing, and says how to spell the fix there."""
    spelled = herder.spelled(part, key)
    facts = {
        "source": herder.source,
        "target": herder.target,
        "flow": herder.name,
        "given": given.text if given else "",
    }
    return Hit(at=given or herder.anchor, key=given.key if given else spelled, fix=f"{spelled} = {write}", facts=facts)


def is_one_of(*texts: str) -> Callable[[str], bool]:
    """The value is one of these, in any case."""
    return lambda text: text.lower() in texts


def number(fits: Callable[[float], bool]) -> Callable[[str], bool]:
    """The value is a number that fits."""

    def good(text: str) -> bool:
        try:
            return fits(float(text))
        except ValueError:
            return False

    return good


def has(settings: Settings | None, key: str) -> bool:
    """A part is shown and has a key."""
    return settings is not None and key in settings
