"""Messages to people and to other systems: SES v2, SNS, SQS FIFO and webhooks behind one small interface.

Promises: ``send`` says whether a failed message may have gone out all the same (:class:`MaybeSentError`) or certainly
has not, so that a caller can state its own policy; nothing is retried here.
"""

from connectors.messaging.messages import MaybeSentError, Message, Messenger
from connectors.messaging.open import open_messenger
from connectors.messaging.ses import SesMessenger
from connectors.messaging.settings import AnyMessenger, SesSettings, SnsSettings, SqsSettings, WebhookSettings
from connectors.messaging.sns import SnsMessenger
from connectors.messaging.sqs import SqsMessenger
from connectors.messaging.webhook import WebhookMessenger, signature

__all__ = [
    "AnyMessenger",
    "MaybeSentError",
    "Message",
    "Messenger",
    "SesMessenger",
    "SesSettings",
    "SnsMessenger",
    "SnsSettings",
    "SqsMessenger",
    "SqsSettings",
    "WebhookMessenger",
    "WebhookSettings",
    "open_messenger",
    "signature",
]
