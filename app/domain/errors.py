"""What can become of one record, when it is not simply processed.

* Rejected       it can never succeed: dead-lettered, with its reason; the stream goes on
* PassedOver     it is not for us, or says nothing new: counted by topic and reason
* NotYet         what it needs to be decided is not known yet: its task waits
Anything else is a bug: tried once more, then dead-lettered with its stack.
"""


class Rejected(Exception):
    """Never succeeds. `reason` is a metric label and a dead-letter header: one of few, fixed words."""

    reason = "refused"
    stage = "decide"


class Undecodable(Rejected):
    """Bytes or shape do not match the schema; the message says where, as `$.items[2].qty: expected int`."""

    reason = "undecodable"
    stage = "decode"


class Invalid(Rejected):
    """It decodes, but denies itself: a header that contradicts the body, an id that is not made as ids are made."""

    reason = "invalid"
    stage = "validate"


class NoKey(Rejected):
    reason = "no-key"
    stage = "validate"


class BadKey(Rejected):
    """The business key is not a string or an integer of 1 to 200 bytes."""

    reason = "bad-key"
    stage = "validate"


class StaleStart(Rejected):
    """A start event older than the retention of ended sagas: whether it ran before is no longer known."""

    reason = "stale-start"


class TooLarge(Rejected):
    reason = "too-large"


class PassedOver(Exception):
    """Ends the record's decision without effect; `reason` is a metric label: one of few, fixed words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotYet(Exception):
    """`view` has no entry `key`, and it is not certain that there is none."""

    def __init__(self, view: str, key: str) -> None:
        super().__init__(f"{view} has no {key!r} yet")
        self.view, self.key = view, key
