"""What the broker's answers mean for a transaction: go on, try again, or write nothing more (X3, X4)."""

from __future__ import annotations

from aiokafka import errors

UNREACHABLE = (
    errors.KafkaConnectionError,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
    errors.CoordinatorNotAvailableError,
    errors.NotCoordinatorError,
    errors.CoordinatorLoadInProgressError,
    errors.CorrelationIdError,
    ConnectionError,
    TimeoutError,
)
FENCED = {22, 25, 47, 49, 80, 82, 90}  # generation or member over, epoch, producer id mapping, instance id, producer
LOST = {45, 48, 59, 120}  # sequence out of order, no such transaction state, unknown producer, abortable
RETRIABLE = {3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 51, 56, 74, 75, 88}
UNPINNED = {10, 87}  # message too large, invalid record: some record of the batch is at fault
COORDINATOR_MOVED = {15, 16}
METADATA_STALE = {3, 5, 6, 74, 75}
CONCURRENT_TRANSACTIONS = 51


class TopicGone(Exception):
    """A topic that is read or written is not there any more, or is another one of the same name."""


class Fenced(Exception):
    """Somebody else owns the transactional id, or the generation is over: write nothing more."""


class TransactionLost(Exception):
    """The transaction is gone, or its outcome cannot be told: start over from what is committed."""


class UnpinnedRecord(Exception):
    """The broker refuses a batch for one of its records."""


def check(code: int, what: str) -> int | None:
    """None: it went well; the code: to be tried again.

    Raises Fenced, TransactionLost, UnpinnedRecord, or aiokafka's error.
    """
    if code == 0:
        return None
    if code in RETRIABLE:
        return code
    error = errors.for_code(code)
    for codes, kind in ((FENCED, Fenced), (LOST, TransactionLost), (UNPINNED, UnpinnedRecord)):
        if code in codes:
            raise kind(f"{what}: {code} {error.__name__}")
    raise error(what)
