"""Notifications: customers hear of the status changes that have a template.

Promises: a change is told at most once, except that a crash (or no answer) between sending and recording follows the
template's stated policy; replays and first loads are never told; messages of one order keep their order.
"""

from consumers.notification.claims import KEY, Row, State, Verdict, judge
from consumers.notification.coalesce import Told, Window, decide, window_of
from consumers.notification.rate import SendRate
from consumers.notification.settings import NotificationSettings, TemplateSettings
from consumers.notification.sink import NotificationSink
from consumers.notification.templates import Notification, notification_of

__all__ = [
    "KEY",
    "Notification",
    "NotificationSettings",
    "NotificationSink",
    "Row",
    "SendRate",
    "State",
    "TemplateSettings",
    "Told",
    "Verdict",
    "Window",
    "decide",
    "judge",
    "notification_of",
    "window_of",
]
