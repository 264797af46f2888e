"""``feed mirror failover``: a plan for groups that move to a copy's region, and its execution."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.table import Table

from connectors.kafka import KafkaClients
from feed.cli.mirror_status import wall_ms
from feed.cli.output import stdout
from feed.config import FeedConfig
from feed.run.flows import flows_of
from mirrormaker.failover import CopyFacts, GroupPlan, apply, ask, differences, plan_group, source_members
from mirrormaker.failover.asking import committed_offsets, member_count
from schemas.errors import ConfigError


def run(
    config: FeedConfig,
    region: str,
    groups: tuple[str, ...],
    *,
    planned: bool,
    allow_back: bool,
    execute: bool,
    as_json: bool,
) -> tuple[str, ...]:
    """Plan, print, and with ``execute`` do it and look; returns what stands against it, a sentence each."""
    (flow,) = flows_of(config, region=region)
    target = KafkaClients(config.regions[region].kafka, client_id="feed-mirror-failover")
    target.check(region)
    facts = ask(flow, target, now_ms=wall_ms)
    chosen = groups or facts.groups
    if not chosen:
        raise ConfigError(
            f"No group of {flow.source.name} has a checkpoint in {region}.",
            hint="Name groups (--group): they begin at the oldest record that the copy holds.",
        )
    admin = target.admin()
    changes = {place: mark for place, mark in facts.marks.items() if place[0] == config.feed}
    plans = [
        plan_group(
            group,
            checkpoints=facts.checkpoints,
            marks=_read_by(group, facts) or changes,
            committed=committed_offsets(target, group, facts.marks),
            members=member_count(admin, group),
            allow_back=allow_back,
        )
        for group in chosen
    ]
    faults = (
        *_source_faults(config, flow.source.name, chosen, planned=planned),
        *(fault for plan in plans for fault in plan.faults),
    )
    if execute and not faults:
        for plan in plans:
            apply(admin, plan)
        faults = tuple(fault for plan in plans for fault in differences(target, plan))
    done = execute and not faults
    if as_json:
        typer.echo(json.dumps(_document(plans, facts, faults, done=done), indent=2))
    else:
        show(plans, facts, faults, done=done)
    return faults


def _read_by(group: str, facts: CopyFacts) -> dict[tuple[str, int], tuple[int, int]]:
    """All partitions of every topic in which the group has a checkpoint."""
    topics = {one.topic for one in facts.checkpoints if one.group == group}
    return {place: mark for place, mark in facts.marks.items() if place[0] in topics}


def _source_faults(config: FeedConfig, source: str, groups: tuple[str, ...], *, planned: bool) -> tuple[str, ...]:
    """None when the source is gone, or is there and its groups have been stopped on purpose.

    Members in two regions would do everything twice.
    """
    clients = KafkaClients(config.regions[source].kafka, client_id="feed-mirror-failover")
    try:
        clients.check(source)
    except ConfigError:
        return ()
    if not planned:
        return (f"{source} answers: it is not gone. If its groups were stopped on purpose, say --planned.",)
    running = source_members(clients, groups)
    return tuple(f"{group} still has {count} members in {source}: stop them." for group, count in running.items())


def show(plans: list[GroupPlan], facts: CopyFacts, faults: tuple[str, ...], *, done: bool) -> None:
    """A table and what it means."""
    console = stdout()
    table = Table(
        "group", "partition", "done at the source", "committed here", "begins at", "why", "read again, at most"
    )
    for plan in plans:
        for one in plan.partitions:
            known = ("" if value is None else str(value) for value in (one.upstream, one.committed_here))
            place = f"{one.topic}/{one.partition}"
            table.add_row(plan.group, place, *known, str(one.start), one.why, str(one.reread_at_most))
    console.print(table)
    for plan in plans:
        lost = f"; {plan.lost} offsets are gone here: feed replay" if plan.lost else ""
        console.print(f"{plan.group}: reads at most {plan.reread_at_most} records again{lost}", highlight=False)
    if facts.newest_ms:
        behind_s = (wall_ms() - min(facts.newest_ms.values())) / 1000
        newest_s = (wall_ms() - max(facts.newest_ms.values())) / 1000
        console.print(
            f"The youngest change here was captured {newest_s:.1f} s ago (in the partition that is furthest behind "
            f"{behind_s:.1f} s): what the source took since is not here.",
            highlight=False,
        )
    for fault in faults:
        console.print(f"[bold red]{fault}[/]", highlight=False)
    said = "done, and looked at: it is as planned" if done else "nothing was changed; --apply does it"
    console.print(said if not faults else "nothing was changed" if not done else said)


def _document(plans: list[GroupPlan], facts: CopyFacts, faults: tuple[str, ...], *, done: bool) -> dict[str, object]:
    return {
        "groups": [{**asdict(plan), "reread_at_most": plan.reread_at_most, "lost": plan.lost} for plan in plans],
        "newest_captured_ms": {f"{topic}/{number}": at for (topic, number), at in sorted(facts.newest_ms.items())},
        "faults": faults,
        "done": done,
    }
