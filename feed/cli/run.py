"""``feed run``: the long-running processes. A container or a unit file starts one each."""

from __future__ import annotations

from typing import Annotated

import typer

from feed.cli.options import ConfigOption, ConfigsOption, load, load_all

app = typer.Typer(no_args_is_help=True, help="Run one process of the feed until it is told to stop.")

PortOption = Annotated[
    int | None,
    typer.Option("--metrics-port", help="Port of /metrics, /healthz and /readyz; else telemetry.port of feed.yaml."),
]
LevelOption = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


# The imports below stand inside the commands: each process loads what it runs, and `feed --help` answers at once.


@app.command(epilog="Example: feed run producer -c orders.yaml -c readings.yaml --metrics-port 9404")
def producer(config: ConfigsOption = None, metrics_port: PortOption = None, log_level: LevelOption = "info") -> None:
    """Read the table's stream and publish it. Start several: they share the stream's shards.

    With several files, one process serves several feeds, each as if it were alone; the first file says where the
    telemetry is. When one feed fails, all stop.
    """
    from feed.run.process import process  # noqa: PLC0415
    from feed.run.producer import run_producers  # noqa: PLC0415

    feeds = load_all(config)
    name = f"{feeds[0].feed}-producer" if len(feeds) == 1 else "producers"
    with process(name, feeds[0].telemetry, port=metrics_port, log_level=log_level) as running:
        run_producers(feeds, running)


@app.command(epilog="Example: feed run consumer warehouse -c feed.yaml --metrics-port 9405")
def consumer(
    name: Annotated[str, typer.Argument(help="Which of `consumers` in feed.yaml.")],
    config: ConfigOption = None,
    metrics_port: PortOption = None,
    log_level: LevelOption = "info",
) -> None:
    """Give a region's topic to one sink. Start several: they share the partitions."""
    from feed.run.consumer import run_consumer  # noqa: PLC0415
    from feed.run.process import process  # noqa: PLC0415

    settings = load(config)
    with process(f"{settings.feed}-{name}", settings.telemetry, port=metrics_port, log_level=log_level) as running:
        run_consumer(settings, name, running)
