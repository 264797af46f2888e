"""SES v2, SNS and SQS FIFO as they are used, on a stand-in that shows what was sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectors.aws import AwsClients
from connectors.messaging import (
    Message,
    SesSettings,
    SnsSettings,
    SqsMessenger,
    SqsSettings,
    open_messenger,
)
from feed.local.ports import free_port
from feed.testing import aws_settings, unique_name
from schemas.errors import ConfigError, FatalError, PoisonError, RetryableError

pytestmark = pytest.mark.integration


def message(number: int = 1, group: str = "o-1") -> Message:
    return Message(
        f"c-{number}@customers.example",
        f"Order {number} — größer",
        f"text {number}",
        f"<p>html {number}</p>",
        f"e-{group}-{number}_paid",
        group,
        {"status": "paid", "eventId": f"e-{number}"},
    )


@pytest.fixture(scope="module")
def aws(ministack) -> AwsClients:
    return AwsClients(aws_settings(ministack.endpoint, "sesv2", "sns", "sqs"))


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        messages = answer.get("Messages", [])
        if not messages:
            return found
        for each in messages:
            found.append(each)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])


def fifo_queue(aws: AwsClients) -> str:
    name = f"{unique_name('queue')}.fifo"
    return str(aws.client("sqs").create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"])


def test_ses_sends_both_bodies(aws: AwsClients, ministack) -> None:
    """An e-mail has its sender, recipient, subject and both bodies, and the id that SES gave it."""
    sender = f"{unique_name('shop')}@example.org"
    aws.client("sesv2").create_email_identity(EmailIdentity=sender)
    sent_id = open_messenger(SesSettings(kind="ses", sender=sender), aws).send(message())
    shown = httpx.get(f"{ministack.endpoint}/_ministack/ses/messages").text
    assert sent_id in shown
    assert sender in shown
    assert "c-1@customers.example" in shown
    assert "<p>html 1</p>" in shown


def test_sqs_keeps_order_and_drops_repeats(aws: AwsClients) -> None:
    """Messages of one order arrive in order; the same one sent again does not arrive again."""
    url = fifo_queue(aws)
    messenger = open_messenger(SqsSettings(kind="sqs", queue_url=url), aws)
    for number in (1, 2, 2, 3, 1):
        messenger.send(message(number))
    found = received(aws.client("sqs"), url)
    assert [each["Body"] for each in found] == ["text 1", "text 2", "text 3"]
    assert found[0]["MessageAttributes"]["recipient"]["StringValue"] == "c-1@customers.example"


def test_sns_fifo_reaches_a_subscriber(aws: AwsClients) -> None:
    """A message published to a FIFO topic reaches its queue once, with its facts as attributes."""
    url = fifo_queue(aws)
    sqs, sns = aws.client("sqs"), aws.client("sns")
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=f"{unique_name('topic')}.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    messenger = open_messenger(SnsSettings(kind="sns", topic_arn=topic), aws)
    assert messenger.send(message())
    assert [each["Body"] for each in received(sqs, url)] == ["text 1"]


def test_a_queue_that_is_not_there_is_an_error_of_the_tree(aws: AwsClients) -> None:
    """A wrong queue is fatal with a hint, a queue that is no FIFO is refused at once."""
    missing = SqsSettings(kind="sqs", queue_url=f"{aws.settings.endpoints['sqs']}/000000000000/nowhere.fifo")
    with pytest.raises((FatalError, PoisonError)):
        open_messenger(missing, aws).send(message())
    with pytest.raises(ConfigError, match=r"no FIFO queue"):
        SqsMessenger(aws.client("sqs"), "https://sqs.example/queue")


def test_a_service_that_is_away_is_certainly_not_sent(unused_tcp_address: str) -> None:
    """A refused connection leaves no doubt: it was not sent, and it is retried."""
    away = AwsClients(aws_settings(unused_tcp_address, "sesv2"))
    with pytest.raises(RetryableError) as error:
        open_messenger(SesSettings(kind="ses", sender="shop@example.org"), away).send(message())
    assert type(error.value) is RetryableError


@pytest.fixture
def unused_tcp_address() -> str:
    return f"http://127.0.0.1:{free_port()}"
