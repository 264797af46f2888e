"""The runtime of every consumer: it loses nothing, keeps order within a key, retries for ever and hides nothing.

Promises: only the contiguous prefix of a partition whose effects are durable is committed; a record that can never work
is kept whole in ``<group>.dead-letter``; everything held is bounded; health means progress. A sink is a small class
(:mod:`consumers.runtime.contracts`) with no Kafka in it.
"""
