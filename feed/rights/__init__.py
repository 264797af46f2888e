"""What each process of a feed may do, and no more: IAM policies, and ACLs for clusters with Kafka's own authorizer.

Promises: a process that has these rights starts and does its work (a test runs them against a broker that refuses all
else); every call to AWS in the code is allowed to some process (a test compares); nothing here deletes what is kept.
"""

from feed.rights.documents import Facts, Rights, rights_of
from feed.rights.processes import process_names

__all__ = ["Facts", "Rights", "process_names", "rights_of"]
