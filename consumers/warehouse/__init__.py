"""The warehouse: every new order starts a pick, later changes update, cancel or close it.

Promises: one conditional write for a change, and no read; a repeated or older change has no effect; whether every
change of an order was acted on can be read from its pick.
"""

from consumers.warehouse.picks import KEY, Pick, PickStatus, pick_of, update_of
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink

__all__ = ["KEY", "Pick", "PickStatus", "WarehouseSettings", "WarehouseSink", "pick_of", "update_of"]
