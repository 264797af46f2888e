"""The replay: archived changes once more, for one consumer group, into a topic of its own.

Promises: every change of the range once, a key's changes in the order of their versions, key, value and headers byte
for byte; resumable at any moment with nothing twice, since the topic itself is the only record of how far it came;
memory, disk and rate are bounded by named settings. It knows nothing of the archive's names and objects: it is given
tables of records.
"""

from producers.replay.kafka_log import ReplayTopic, ReplayWriter
from producers.replay.plan import Counts, gather, only_changes
from producers.replay.rows import Selection
from producers.replay.sending import Sending
from producers.replay.settings import ReplaySettings
from producers.replay.sorter import Sorter
from producers.replay.state import Asked, ReplayState, may_go_on

__all__ = [
    "Asked",
    "Counts",
    "ReplaySettings",
    "ReplayState",
    "ReplayTopic",
    "ReplayWriter",
    "Selection",
    "Sending",
    "Sorter",
    "gather",
    "may_go_on",
    "only_changes",
]
