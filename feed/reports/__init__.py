"""Three reports on the warehouse: their SQL, which Redshift and the embedded warehouse both run, and their charts.

Promises: a report is one SELECT over the tables that the analytics consumer fills; a chart shows what its SELECT
answers, and nothing else.
"""

from feed.reports.canvas import Palette
from feed.reports.charts import draw
from feed.reports.queries import BUCKETS, REPORTS, Report, read_only, sql_of

__all__ = ["BUCKETS", "REPORTS", "Palette", "Report", "draw", "read_only", "sql_of"]
