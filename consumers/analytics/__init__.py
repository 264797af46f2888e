"""The analytics sink: the table's current state and its history in the data warehouse, loaded in batches.

Promises: each change is in the history once and the current state is the newest version, whatever crashed and however
often; one transaction moves the ledger and the tables together; deleted items stay known, so that nothing old returns.
"""

from consumers.analytics.columns import Column, image_columns
from consumers.analytics.settings import AnalyticsSettings
from consumers.analytics.sink import AnalyticsSink
from consumers.analytics.tables import Tables

__all__ = ["AnalyticsSettings", "AnalyticsSink", "Column", "Tables", "image_columns"]
