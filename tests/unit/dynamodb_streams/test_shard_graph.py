"""The shard graph: what listings prove."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.dynamodb_streams import Listing, Shard, Sightings, absent_parents, observe

ARN = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"


def listing(at_ms: int, *shards: str, complete: bool = True) -> Listing:
    return Listing(ARN, {shard: Shard(shard) for shard in shards}, complete, at_ms)


def test_one_complete_listing_proves_no_absence() -> None:
    """A shard that one complete listing lacks is not unlisted yet."""
    seen = observe(observe(Sightings(ARN), listing(0, "a", "b")), listing(60_000, "a"))
    assert not seen.unlisted("b", 60_000)


def test_two_complete_listings_a_minute_apart_prove_absence() -> None:
    """Absence counts from the first complete listing that lacks the shard."""
    seen = observe(observe(Sightings(ARN), listing(0, "a", "b")), listing(60_000, "a"))
    assert not observe(seen, listing(119_999, "a")).unlisted("b", 60_000)
    assert observe(seen, listing(120_000, "a")).unlisted("b", 60_000)


def test_a_shard_that_was_never_listed_needs_two_listings_too() -> None:
    """A parent that nobody ever saw is unlisted after two complete listings."""
    seen = observe(Sightings(ARN), listing(0, "a"))
    assert not seen.unlisted("parent", 60_000)
    assert observe(seen, listing(60_000, "a")).unlisted("parent", 60_000)


def test_a_shard_that_comes_back_is_not_unlisted() -> None:
    """One sighting, even in a partial listing, ends an absence."""
    seen = observe(observe(Sightings(ARN), listing(0, "a", "b")), listing(60_000, "a"))
    seen = observe(seen, listing(70_000, "b", complete=False))
    assert not seen.unlisted("b", 60_000)
    assert not observe(seen, listing(130_000, "a")).unlisted("b", 60_000)


def test_absent_parents_are_those_named_and_not_listed() -> None:
    """The parents that lie before a baseline."""
    shards = [Shard("b", "a"), Shard("c", "b"), Shard("d")]
    assert absent_parents(shards) == ("a",)


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("abcd")), st.booleans(), st.integers(1, 90_000)), min_size=1, max_size=12
    )
)
def test_unlisted_is_what_the_definition_says(passes: list[tuple[set[str], bool, int]]) -> None:
    """Law: unlisted iff two complete listings 60 s apart lack the shard, and no listing since has it."""
    seen, at_ms, history = Sightings(ARN), 0, []
    for names, complete, step in passes:
        at_ms += step
        seen = observe(seen, listing(at_ms, *names, complete=complete))
        history.append((at_ms, names, complete))
    for shard in "abcd":
        last = max((i for i, (_, names, _) in enumerate(history) if shard in names), default=-1)
        lacking = [at for at, _, complete in history[last + 1 :] if complete]
        expected = bool(lacking) and lacking[-1] - lacking[0] >= 60_000
        assert seen.unlisted(shard, 60_000) is expected
