"""Workers and herders: which start, and how long they wait."""

from __future__ import annotations

from collections.abc import Iterator

from mirrormaker.doctor.checks import number, unless
from mirrormaker.doctor.document import Kind
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Part, Place
from mirrormaker.doctor.resolution import PASSED_TO_WORKER, cluster_names, is_true
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup


def _two_levels(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.DEDICATED):
        settings = document.settings
        for cluster in cluster_names(settings):
            for key, value in settings.items():
                bare = key.removeprefix(f"{cluster}.")
                over = settings.get(bare)
                if (
                    bare != key
                    and over
                    and bare.startswith(PASSED_TO_WORKER)
                    and over.text.strip() != value.text.strip()
                ):
                    yield Hit(value, facts={"bare": bare, "won": over.text, "line": str(over.line)})


def _unwanted_herders(setup: Setup) -> Iterator[Hit]:
    for herder in setup.herders:
        if herder.place is not Place.DEDICATED or herder.copies:
            continue
        wanted = any(
            other.copies and (other.source, other.target) == (herder.target, herder.source) for other in setup.herders
        )
        asked = herder.connectors[Part.HEARTBEAT].get("emit.heartbeats.enabled")
        if not (asked and is_true(asked) and wanted):
            prefix = f"{herder.name}.emit.heartbeats.enabled"
            yield Hit(
                herder.anchor, key=prefix, fix=f"{prefix} = false", facts={"flow": herder.name, "target": herder.target}
            )


def _flows_in_one_process(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.DEDICATED):
        flows = [herder for herder in setup.copying if herder.anchor.path == document.path]
        if len(flows) > 1:
            names = ", ".join(herder.name for herder in flows)
            yield Hit(flows[1].anchor, facts={"flows": names})


RULES = (
    Rule(
        "MM03",
        "the top level wins",
        Severity.SURPRISE,
        "The top-level `{bare}` (line {line}, {won}) replaces this value in every worker: for these keys the general "
        "line wins "
        "over the special one.",
        "Keep one of the two.",
        "MirrorMakerConfig.workerConfig",
        _two_levels,
    ),
    Rule(
        "MM08",
        "five minutes without copying",
        Severity.STALL,
        "After a worker is lost, its tasks wait for it to come back before others get them: "
        "scheduled.rebalance.max.delay.ms, 300000 by default. (A worker that is alone, killed and started again goes "
        "on at once; one of several, or one whose cluster hung, does not.)",
        "A plan that restarts workers on purpose may want some seconds.",
        "DistributedConfig; KIP-415; observed on 4.3.1",
        unless(
            Part.WORKER,
            "scheduled.rebalance.max.delay.ms",
            number(lambda ms: ms <= 60_000),
            write="0",
            default="300000",
        ),
    ),
    Rule(
        "MM10",
        "a herder that nobody asked for",
        Severity.SURPRISE,
        "{flow} starts a herder too, with its worker, its group and its internal topics in {target}: heartbeats are on "
        "by "
        "default for every pair of clusters.",
        "Or `emit.heartbeats.enabled = false` at top level, when no heartbeats are wanted.",
        "MirrorMakerConfig.clusterPairs; observed on 4.3.1",
        _unwanted_herders,
    ),
    Rule(
        "MM37",
        "flows share one process",
        Severity.SURPRISE,
        "Run without --clusters, {flows} run in one process, where Connect's metrics of one flow overwrite the "
        "other's, and one "
        "failure takes both.",
        "Run one process for each target, beside it: --clusters <target>.",
        "ConnectMetrics registers by worker, not by flow",
        _flows_in_one_process,
        certain=False,
    ),
)
