"""``feed schemas``: what is on the topic, whether a change of it may be released, and where it is registered."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.aws import AwsClients
from connectors.registry import KnownSchemas, Registry, RegistrySettings, image_schema, open_registry
from feed.cli.errors import EXIT_FAILED
from feed.cli.options import ConfigOption, load
from feed.cli.schema_history import BUNDLED_FOLDER, changed_releases, image_file, schema_at
from feed.cli.schema_values import as_json, length_prefixed
from feed.config import FeedConfig, config_file
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.compose import wire_schema
from schemas.errors import ConfigError, FatalError
from schemas.evolution import Compatibility, NamedSchema
from schemas.evolution import check as incompatibilities
from schemas.framing import fingerprint_of
from schemas.released import released

app = typer.Typer(no_args_is_help=True, help="The schemas of events: list, show, check, register, release.")

GIT = "git:"

ImageArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SCHEMA", help="A bundled schema's name or an .avsc file; else the feed.yaml's, else all bundled."
    ),
]
CompatibilityOption = Annotated[
    Compatibility | None,
    typer.Option("--compatibility", help="What the change must keep; else the feed.yaml's, else BACKWARD_TRANSITIVE."),
]


class Part(StrEnum):
    """Which schema ``show`` prints."""

    CHANGE = "change"
    IMAGE = "image"


@app.command("list", epilog="Example: feed schemas list -c feed.yaml")
def list_schemas(config: ConfigOption = None) -> None:
    """List every registered version, and whether the schema in use has changed since."""
    feed = _feed(config)
    registry = _registry(feed)
    for subject in registry.subjects():
        for version in registry.versions(subject):
            typer.echo(f"{subject} version {version.version} id {_shown_id(version.id)} {version.schema['name']}")
    for name in _images(None, feed):
        schema = wire_schema(image_schema(name))
        known = {fingerprint_of(version.schema) for version in registry.versions(_subject(name, feed))}
        state = "registered" if fingerprint_of(schema) in known else "not registered"
        typer.echo(f"in use: {name} fingerprint {fingerprint_of(schema):016x} {state}")


@app.command(epilog="Example: feed schemas show order --part image")
def show(
    schema: ImageArgument = None,
    part: Annotated[
        Part, typer.Option(help="change: what is on the topic; image: what the table's items are.")
    ] = Part.CHANGE,
    version: Annotated[int | None, typer.Option(help="A registered version instead of the schema in use.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print a schema as JSON, for a registry, a code generator or a person."""
    feed = _feed(config)
    name = _image(schema, feed)
    if version is None:
        image = image_schema(name)
        _print(wire_schema(image) if part is Part.CHANGE else image)
        return
    subject = _subject(name, feed)
    found = next((one for one in _registry(feed).versions(subject) if one.version == version), None)
    if found is None:
        raise ConfigError(f"{subject} has no version {version}", hint="`feed schemas list` shows what there is")
    _print(found.schema)


@app.command(epilog="Example: kcat -C -e -b BROKERS -t orders -f '%R%s' | feed schemas decode")
def decode(schema: ImageArgument = None, config: ConfigOption = None) -> None:
    """Read values from a pipe, each behind its length as kcat's %R%s writes them, and print an event a line as JSON."""
    feed = _feed(config)
    codec = ChangeCodec.for_image(image_schema(_image(schema, feed)), writers=KnownSchemas(_registry(feed)))
    for value in length_prefixed(sys.stdin.buffer):
        typer.echo(as_json(codec, value))


@app.command(epilog="Example: feed schemas check --against git:HEAD~1")
def check(
    schema: ImageArgument = None,
    against: Annotated[
        str,
        typer.Option(
            help="release: the package's releases; registry: the feed.yaml's; git:REVISION: a checkout's past."
        ),
    ] = "release",
    compatibility: CompatibilityOption = None,
    config: ConfigOption = None,
) -> None:
    """The compatibility gate: may this schema follow what readers and records know? Exits with 1 when it may not."""
    feed = _feed(config)
    wanted = compatibility or Compatibility(_settings(feed).compatibility)
    refused = False
    for name in _images(schema, feed):
        image = image_schema(name)
        if "key" in image:
            ChangeCodec.for_image(image)  # what cannot be an image at all is told first
        earlier = _earlier(name, against, feed)
        if isinstance(earlier, str):
            typer.echo(f"{name}: {earlier}")
            continue
        reasons = incompatibilities(wire_schema(image), earlier, wanted)
        for reason in reasons:
            typer.echo(f"{name}: INCOMPATIBLE ({wanted}) {reason.sentence}")
        if not reasons:
            typer.echo(f"{name}: compatible ({wanted}) with {', '.join(old.label for old in earlier)}")
        refused = refused or bool(reasons)
    if against.startswith(GIT):
        for sentence in changed_releases(against.removeprefix(GIT), BUNDLED_FOLDER / "released"):
            typer.echo(sentence)
            refused = True
    if refused:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: feed schemas register -c feed.yaml")
def register(schema: ImageArgument = None, config: ConfigOption = None) -> None:
    """Register the schema of changes in the feed.yaml's registry, after it has passed the gate."""
    feed = _feed(config)
    registry, settings = _registry(feed), _settings(feed)
    for name in _images(schema, feed):
        subject, new = _subject(name, feed), wire_schema(image_schema(name))
        reasons = incompatibilities(new, _registered(registry, subject), Compatibility(settings.compatibility))
        if reasons:
            raise FatalError(
                reasons[0].sentence, hint="nothing was registered; `feed schemas check` shows every reason"
            )
        known = registry.register(subject, new)
        typer.echo(f"{subject} version {known.version} id {_shown_id(known.id)}")


@app.command(epilog="Example: feed schemas release order")
def release(schema: ImageArgument = None) -> None:
    """Freeze the bundled schema as the package's next release: writes a file into the checkout, to be committed."""
    for name in _images(schema, None):
        new, earlier = wire_schema(image_schema(name)), _released(name)
        if earlier and earlier[-1].schema == new:
            typer.echo(f"{name}: unchanged since {earlier[-1].label}")
            continue
        reasons = incompatibilities(new, earlier, Compatibility.BACKWARD_TRANSITIVE)
        if reasons:
            raise FatalError(reasons[0].sentence, hint="nothing was released; `feed schemas check` shows every reason")
        file = BUNDLED_FOLDER / "released" / f"{Path(name).stem}.{len(earlier) + 1}.avsc"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(new, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        typer.echo(f"{name}: release {len(earlier) + 1} written to {file}")


def _earlier(name: str, against: str, feed: FeedConfig | None) -> tuple[NamedSchema, ...] | str:
    """What the schema must be compatible with, oldest first; a sentence when there is nothing."""
    if against.startswith(GIT):
        old = schema_at(against.removeprefix(GIT), image_file(name))
        return old if isinstance(old, str) else (old,)
    if against == "registry":
        found = _registered(_registry(feed), _subject(name, feed))
    elif against == "release":
        found = _released(name)
    else:
        raise ConfigError(f"--against {against} is unknown", hint="use release, registry or git:<revision>")
    return found or f"nothing is known of it in the {against}s: nothing to compare with"


def _released(name: str) -> tuple[NamedSchema, ...]:
    """The package's releases of a schema; another team's order.avsc is not ours."""
    new = wire_schema(image_schema(name))
    return tuple(old for old in released(Path(name).stem) if old.schema.get("namespace") == new["namespace"])


def _registered(registry: Registry, subject: str) -> tuple[NamedSchema, ...]:
    return tuple(
        NamedSchema(f"version {known.version} of {subject}", known.schema) for known in registry.versions(subject)
    )


def _feed(config: str | None) -> FeedConfig | None:
    """The configuration, if one is named or lies here: without it everything is about the bundled schemas."""
    return load(config) if config is not None or config_file(None).exists() else None


def _settings(feed: FeedConfig | None) -> RegistrySettings:
    return RegistrySettings() if feed is None else feed.schemas.registry


def _registry(feed: FeedConfig | None) -> Registry:
    return open_registry(_settings(feed), lambda: AwsClients(_source(feed).source.aws).client("glue"))


def _source(feed: FeedConfig | None) -> FeedConfig:
    if feed is None:
        raise ConfigError("no feed.yaml names the region", hint="name it with --config")
    return feed


def _images(schema: str | None, feed: FeedConfig | None) -> tuple[str, ...]:
    if schema is not None:
        return (schema,)
    return bundled.contracts() if feed is None else (feed.table.image_schema,)


def _image(schema: str | None, feed: FeedConfig | None) -> str:
    """The one schema that a command is about: an image's, where several are known."""
    known = _images(schema, feed)
    return next((name for name in known if "key" in image_schema(name)), known[0])


def _subject(name: str, feed: FeedConfig | None) -> str:
    settings = _settings(feed)
    if settings.kind == "bundled":
        return Path(name).stem
    if name == "control":
        return f"{_source(feed).feed}.control-value"
    return settings.subject or f"{_source(feed).feed}-value"


def _shown_id(known: object) -> str:
    """An id as people meet it: fingerprints are too long to read in decimal."""
    return f"{known:016x}" if isinstance(known, int) and known >= 1 << 32 else str(known)


def _print(schema: object) -> None:
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))
