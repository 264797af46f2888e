"""The doctor: reads anyone's MirrorMaker files and says what really happens.

``diagnose(files)`` gives a ``Report`` of findings; ``explain(files)`` tells what would start. Both are pure: text in,
values out.
"""

from mirrormaker.doctor.diagnosis import diagnose
from mirrormaker.doctor.explain import Start, explain
from mirrormaker.doctor.findings import Finding, Report, Severity
from mirrormaker.doctor.known import LATEST, KafkaVersion
from mirrormaker.doctor.rules import ALL

__all__ = ["ALL", "LATEST", "Finding", "KafkaVersion", "Report", "Severity", "Start", "diagnose", "explain"]
