"""A part that is a Java program: its command line, and the class-data archive that makes later starts fast."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from feed.local.jars import Jars
from feed.local.part import ProcessPart, Site, with_environment
from feed.local.tools import Java

LOG_CONFIGURATION = Path(__file__).with_name("log4j2.xml")
# one small collector thread and the quick compiler: three brokers share two cores with everything else
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class JavaPart(ProcessPart):
    """A Java main class with a small heap.

    ``kind`` names programs that load the same classes. The first orderly stop of a kind leaves a class-data archive in
    the cache, beside its jars: the classes it loaded, parsed and checked. Later starts map it and need about half the
    time. An archive for another Java build is another file; one that is being written has another name until it is
    whole.
    """

    def __init__(
        self, name: str, site: Site, *, java: Java, jars: Jars, heap_mib: int, kind: str | None = None
    ) -> None:
        super().__init__(name, site)
        self._java = java
        self._jars = jars
        self._heap_mib = heap_mib
        self._keeps_archive = kind is not None
        self._archive = jars.folder / f"{kind}-{java.build}.jsa"
        self._unfinished = jars.folder / f".{kind}-{java.build}-{os.getpid()}-{name}.jsa"
        self._archives = False

    @abstractmethod
    def main(self) -> Sequence[str]:
        """Main class and its arguments."""

    def jvm_options(self) -> Sequence[str]:
        """More options of this program."""
        return ()

    def command(self) -> Sequence[str]:
        """``java`` with the class path in the environment: the process list stays readable."""
        self._archives = self._keeps_archive and not self._archive.exists()
        argv = [
            str(self._java.path),
            f"-Xms{min(128, self._heap_mib)}m",
            f"-Xmx{self._heap_mib}m",
            *JVM,
            *self._sharing(),
            "-Xlog:disable",  # of the virtual machine itself: notes about archives
            "-Xlog:all=error:stderr",
            f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}",
            *self.jvm_options(),
            *self.main(),
        ]
        return with_environment({"CLASSPATH": self._jars.class_path}, argv)

    def _sharing(self) -> Sequence[str]:
        if not self._keeps_archive:
            return ()
        if self._archives:
            return (f"-XX:ArchiveClassesAtExit={self._unfinished}",)
        return ("-Xshare:auto", f"-XX:SharedArchiveFile={self._archive}")

    def tool(self, main: str, *arguments: str) -> list[str]:
        """The command line of a short program from the same jars."""
        argv = [
            str(self._java.path),
            "-Xmx128m",
            *JVM,
            f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}",
            main,
            *arguments,
        ]
        return with_environment({"CLASSPATH": self._jars.class_path}, argv)

    def stop(self) -> None:
        """Stop it; when that left a class-data archive, put it where later starts look."""
        super().stop()
        if self._archives and self._unfinished.exists():
            self._unfinished.rename(self._archive)

    def kill(self) -> None:
        """SIGKILL; an archive that it was writing is not whole."""
        alive = self.pid is not None
        super().kill()
        if alive:
            with contextlib.suppress(FileNotFoundError):
                self._unfinished.unlink()

    @property
    def wants_orderly_stop(self) -> bool:
        """It is noting its classes and writes the archive when it ends."""
        return self._archives and self.pid is not None and not self._archive.exists()
