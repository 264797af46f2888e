"""What an operator asks of a running feed, and does to it: gaps, slots, dead letters.

Promises: nothing here joins a group, commits an offset or takes a slot; every read and every wait is bounded; a record
that is retried is told as retried, and a retry of a stream record is published once or not at all.
"""

from feed.operate.gaps import gaps_of
from feed.operate.group import Assignment, assignment_of
from feed.operate.letters import Letter, letters_of, open_letters
from feed.operate.slots import SlotView, slots_of

__all__ = [
    "Assignment",
    "Letter",
    "SlotView",
    "assignment_of",
    "gaps_of",
    "letters_of",
    "open_letters",
    "slots_of",
]
