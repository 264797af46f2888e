"""MirrorMaker 2 as a part: one process for one target region, in dedicated mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feed.local.jars import Jars
from feed.local.java_part import JavaPart
from feed.local.part import Site
from feed.local.tools import Java

READY = b"Kafka MirrorMaker started"


class Mirror(JavaPart):
    """The copy into ``target``. It is ready when its worker runs; the first record follows some seconds later."""

    def __init__(self, target: str, site: Site, *, java: Java, jars: Jars, properties: Callable[[], str]) -> None:
        super().__init__(
            f"mirror-{target}", site, java=java, jars=jars, kind="mirror", heap_mib=site.settings.mirror_heap_mib
        )
        self.target = target
        self._properties = properties

    @property
    def addresses(self) -> Mapping[str, str]:
        """Nothing of it is meant for clients."""
        return {}

    def prepare(self) -> None:
        """Write its properties file, anew at each start."""
        (self.site.state_of(self.name) / "mm2.properties").write_text(self._properties())

    def main(self) -> Sequence[str]:
        """Only the herder of its own target."""
        file = self.site.state_of(self.name) / "mm2.properties"
        return ["org.apache.kafka.connect.mirror.MirrorMaker", str(file), "--clusters", self.target]

    def is_ready(self) -> bool:
        """It says so itself."""
        return READY in self.printed()
