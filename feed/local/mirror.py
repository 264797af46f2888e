"""MirrorMaker 2 as a part: one process for one target region, in dedicated mode, run by the rendered files alone."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from feed.local.jars import Jars
from feed.local.java_part import JavaPart
from feed.local.part import Site
from feed.local.tools import Java

_log = logging.getLogger(__name__)

READY = b"Kafka MirrorMaker started"
AGAIN_AFTER_S = 1.0
"""The pause before a process that ended by itself is started again."""


class Mirror(JavaPart):
    """The copy into ``target``. It is ready when its worker runs; the first record follows some seconds later.

    The rendered run script ends the process when a task has failed; this part starts it again, as systemd or Kubernetes
    would. Ended on purpose (``stop``, ``kill``) it stays so.

    Args:
        target: the region.
        site: where it lives.
        java: the runtime.
        jars: Kafka's.
        agent: the metrics agent; its port is in ``addresses``.
        files: what ``feed mirror render`` gives for the flow, anew at each start.
    """

    def __init__(
        self,
        target: str,
        site: Site,
        *,
        java: Java,
        jars: Jars,
        agent: Jars,
        files: Callable[[], Mapping[str, str]],
    ) -> None:
        super().__init__(
            f"mirror-{target}", site, java=java, jars=jars, kind="mirror", heap_mib=site.settings.mirror_heap_mib
        )
        self.target = target
        self._agent = agent
        self._files = files
        self._metrics_port = site.ports.port(f"{self.name} metrics")
        self._lock = threading.RLock()
        self._asked_to_end = threading.Event()

    @property
    def addresses(self) -> Mapping[str, str]:
        """``metrics``: where Prometheus may ask."""
        return {"metrics": f"http://127.0.0.1:{self._metrics_port}/metrics"}

    def prepare(self) -> None:
        """Write its files, anew at each start."""
        for name, text in self._files().items():
            (self.site.state_of(self.name) / name).write_text(text)

    def command(self) -> Sequence[str]:
        """The run script, which watches the tasks and lets Java take its place."""
        script = self._file("-run.sh")
        return ["/usr/bin/env", f"METRICS_PORT={self._metrics_port}", "/bin/bash", script, *super().command()]

    def jvm_options(self) -> Sequence[str]:
        """The metrics agent, which reads nothing until it is asked.

        Not in the one start that notes classes for the archive: Java does not do both.
        """
        if self._archives:
            return ()
        return (f"-javaagent:{self._agent.class_path}=127.0.0.1:{self._metrics_port}:{self._file('-jmx.yaml')}",)

    def main(self) -> Sequence[str]:
        """Only the herder of its own target."""
        return ["org.apache.kafka.connect.mirror.MirrorMaker", self._file("-mm2.properties"), "--clusters", self.target]

    def is_ready(self) -> bool:
        """It says so itself."""
        return READY in self.printed()

    def start(self) -> None:
        """Start it, and keep it running until it is ended on purpose."""
        with self._lock:
            if self.pid is not None:
                return
            self._asked_to_end.clear()
            super().start()
            assert self._process is not None  # noqa: S101 - it was started, for mypy
            threading.Thread(target=self._keep, args=(self._process,), name=f"keep-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """End it in order; it stays so."""
        with self._lock:
            self._asked_to_end.set()
            super().stop()

    def kill(self) -> None:
        """SIGKILL; it stays so."""
        with self._lock:
            self._asked_to_end.set()
            super().kill()

    def _keep(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if self._asked_to_end.wait(AGAIN_AFTER_S):
            return
        with self._lock:
            if self._process is not process or self._asked_to_end.is_set():
                return
            _log.warning("ended by itself, starting again part=%s code=%s", self.name, process.returncode)
            super().kill()  # its watch may outlive it
            self.start()

    def _file(self, ending: str) -> str:
        folder = self.site.state_of(self.name)
        return str(next(folder / name for name in self._files() if name.endswith(ending)))
