"""``feed replay``: from the archive into the topic of one group's replay, in the region of that group.

Promises: before anything is sent it is checked that the range is archived whole, that the consumer takes replays and
that no other replay of it is there; what the replay vouches for is found from offsets, not from anyone's clock alone;
afterwards the topic is deleted only when the group has read all of it.
"""

from feed.replay.replayer import Progress, Replayer
from feed.replay.request import Range, Request, request_of

__all__ = ["Progress", "Range", "Replayer", "Request", "request_of"]
