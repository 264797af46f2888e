"""The warehouse: every new order starts a pick, later changes update, cancel or close it.

Promises: one conditional write for a change, and no read; a repeated or older change has no effect; whether every
change of an order was acted on can be read from its pick.
"""

from consumers.warehouse.picks import KEY, Pick, PickStatus, pick_of, update_of
from consumers.warehouse.replica import Replica, Standing, compare
from consumers.warehouse.settings import LookUpSettings, WarehouseSettings
from consumers.warehouse.sink import WarehouseSink, hand_over_of

__all__ = [
    "KEY",
    "LookUpSettings",
    "Pick",
    "PickStatus",
    "Replica",
    "Standing",
    "WarehouseSettings",
    "WarehouseSink",
    "compare",
    "hand_over_of",
    "pick_of",
    "update_of",
]
