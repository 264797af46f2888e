"""A Redshift Data API on this machine: boto3's ``redshift-data`` client and Redshift's SQL, executed by DuckDB.

Promises: what the loader sends to AWS is sent here unchanged and is really executed; what Redshift refuses is refused
here as well (translation.py lists it); what it does not enforce (primary keys) is not enforced. It runs as a process of
its own, since a DuckDB file has one owner: ``python -m feed.local.data_api --help``.
"""

from feed.local.data_api.engine import Engine
from feed.local.data_api.part import DataApi
from feed.local.data_api.statements import Refused, Statement

__all__ = ["DataApi", "Engine", "Refused", "Statement"]
