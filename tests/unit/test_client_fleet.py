import asyncio
import threading

import pytest

from app.client.breaker import CircuitBreaker
from app.client.errors import CallNotPermitted
from app.client.part import straight
from app.client.scope import Scope
from app.domain.breakers.breaker import State
from tests.support.members import PAY, Member
from tests.support.memory_transport import Topics

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
S = 1_000


@pytest.fixture
def member():
    return Member()


@pytest.mark.parametrize("state", list(State))
def test_a_state_of_the_fleet_is_adopted_whatever_the_own_one_is(state):
    for own in State:
        member = Member()
        if own is HALF_OPEN:
            member.pay.move(OPEN)
        member.pay.move(own)
        member.told(state, 1, until=5 * S)
        assert member.pay.state is state


def test_an_older_state_and_the_same_again_change_nothing(member):
    member.told(OPEN, 5, until=9 * S)
    member.told(CLOSED, 4)
    member.told(CLOSED, 5)
    assert member.pay.state is OPEN


def test_a_breaker_that_is_gone_is_closed_and_its_numbers_begin_anew(member):
    member.told(OPEN, 5, until=9 * S)
    member.topics.tell(PAY, None)
    member.fleet.hear()
    assert (member.pay.state, member.pay.told) == (CLOSED, None)
    member.told(OPEN, 1, until=9 * S)
    assert member.pay.state is OPEN


def test_who_comes_later_adopts_what_was_said_before(member):
    member.told(OPEN, 3, breaker="inventory-service", until=9 * S)
    assert member.fleet.breaker("inventory-service").state is OPEN
    assert member.fleet.breaker("inventory-service") is member.fleet.breaker("inventory-service")


def test_states_are_read_to_their_end_before_it_is_ready(member):
    member.told(CLOSED, 1)
    assert not member.fleet.ready.is_set()
    member.fleet.hear()
    assert member.fleet.ready.is_set()


def test_closed_keeps_what_the_own_breaker_counted(member):
    member.fail(2)
    member.told(CLOSED, 1)
    member.fail(2)
    assert member.pay.state is OPEN


def test_what_it_opens_by_itself_is_over_with_its_own_wait(member):
    member.told(CLOSED, 1)
    member.fail()
    assert not member.permits()
    member.after(5 * S + 1)
    assert [member.permits() for _ in range(3)] == [True] * 3
    assert member.pay.state is CLOSED


def test_or_with_a_newer_state(member):
    member.fail()
    member.told(CLOSED, 1)
    assert member.permits()


def test_while_the_fleet_says_open_nothing_ends_it_here(member):
    member.told(OPEN, 1, until=5 * S)
    with pytest.raises(CallNotPermitted) as refused:
        member.pay.call(print)
    assert refused.value.retry_after_ms == 5 * S + 1
    for _ in range(5):
        member.after(10 * S)
        assert not member.permits()
    member.told(CLOSED, 2)
    assert member.permits()


def test_in_half_open_only_its_own_permits_are_used(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 2, "order-2": 1}, lease=10 * S)
    assert [member.permits() for _ in range(4)] == [True, True, False, False]
    assert member.pay.state is HALF_OPEN


def test_a_permit_is_not_used_from_the_instant_on_at_which_it_ends(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 3}, lease=10 * S)
    member.after(10 * S - 1)
    assert member.permits()
    member.after(1)
    assert not member.permits()


def test_new_permits_take_the_place_of_old_ones(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 3}, lease=10 * S)
    member.told(HALF_OPEN, 2, permits={"order-1": 1}, lease=22 * S)
    assert [member.permits() for _ in range(2)] == [True, False]


def test_trial_calls_decide_nothing_here(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 3}, lease=10 * S)
    member.fail(3)
    assert (member.pay.state, member.pay.metrics().failed) == (HALF_OPEN, 3)


def test_reports_say_what_was_seen_of_the_fleet(member):
    member.told(CLOSED, 4)
    member.permits()
    member.told(HALF_OPEN, 5, permits={"order-1": 1}, lease=10 * S)
    member.permits()
    assert [said["seen_seq"] for said in member.said()] == [4, 5]


def test_a_call_that_was_permitted_before_is_no_answer_of_the_trial(member):
    member.told(CLOSED, 4)

    def meanwhile():
        member.told(HALF_OPEN, 5, permits={"order-1": 1}, lease=10 * S)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        member.pay.call(meanwhile)
    assert [said["seen_seq"] for said in member.said()] == [4]
    assert (member.pay.metrics().buffered, member.permits()) == (0, True)


def test_the_fleet_is_told_at_once_of_trial_calls_and_of_the_first_that_asks_after_the_wait(member):
    waiting = member.report.urgent
    member.told(OPEN, 1, until=5 * S)
    member.permits()
    assert not waiting.is_set()
    member.after(5 * S + 1)
    member.permits()
    assert waiting.is_set()
    waiting.clear()
    member.permits()
    assert not waiting.is_set()
    member.told(HALF_OPEN, 2, permits={"order-1": 1}, lease=20 * S)
    member.permits()
    assert waiting.is_set()


def test_without_kafka_it_soon_works_alone(member):
    member.told(OPEN, 1, until=5 * S)
    member.transport.cut = True
    member.after(15 * S)
    assert not member.permits()
    member.after(1)
    assert [member.permits() for _ in range(3)] == [True] * 3
    assert member.pay.state is CLOSED


def test_alone_in_half_open_it_tries_as_often_as_its_own_policy_says(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 1}, lease=10 * S)
    assert [member.permits() for _ in range(2)] == [True, False]
    member.transport.cut = True
    member.after(15 * S + 1)
    member.fail(3)
    assert member.pay.state is OPEN


def test_when_kafka_is_back_the_fleet_counts_again_but_its_old_permits_do_not(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 3}, lease=60 * S)
    member.transport.cut = True
    member.after(15 * S + 1)
    assert [member.permits() for _ in range(3)] == [True] * 3
    assert member.pay.state is CLOSED
    member.transport.cut = False
    member.after(1)
    assert (member.pay.state, member.permits()) == (HALF_OPEN, False)


def test_a_fleet_that_does_not_answer_is_not_waited_for_for_ever(member):
    member.told(OPEN, 1, until=5 * S)
    member.after(100 * S)
    assert not member.permits()
    member.after(60 * S)
    assert not member.permits()
    member.after(1)
    assert member.permits()
    member.told(OPEN, 2, until=500 * S)
    assert not member.permits()


def test_held_back_by_a_fleet_that_lost_its_numbers_it_tries_by_itself_after_a_minute(member):
    """It takes the new states for older ones, until their numbers have passed those that it knows."""
    member.told(OPEN, 7, until=5 * S)
    member.told(CLOSED, 0)
    member.after(5 * S + 1)
    assert not member.permits()
    member.after(60 * S)
    assert not member.permits()
    member.after(1)
    assert [member.permits() for _ in range(3)] == [True] * 3
    assert member.pay.state is CLOSED
    member.told(OPEN, 1, until=500 * S)
    assert member.permits()
    member.told(OPEN, 8, until=500 * S)
    assert not member.permits()


def test_a_fleet_that_lost_its_numbers_is_not_heard_while_old_states_are_read_first(member):
    member.told(CLOSED, 7)
    member.told(OPEN, 1, until=500 * S)
    later = Member("order-2", member.topics)
    later.fleet.hear()
    assert (member.permits(), later.permits()) == (True, True)
    member.fail(3)
    assert (member.pay.state, later.pay.state) == (OPEN, CLOSED), "each judges by its own calls"


def test_a_fleet_that_lost_its_numbers_is_heard_after_a_tombstone(member):
    member.told(OPEN, 7, until=500 * S)
    member.topics.tell(PAY, None)
    member.told(OPEN, 1, until=500 * S)
    later = Member("order-2", member.topics)
    later.fleet.hear()
    assert [(each.pay.state, each.pay.told.seq) for each in (member, later)] == [(OPEN, 1), (OPEN, 1)]


def test_by_hand_counts_until_a_newer_state_is_told(member):
    member.told(OPEN, 1, until=5 * S)
    member.pay.reset()
    assert member.permits()
    member.told(OPEN, 2, until=5 * S)
    assert not member.permits()


@pytest.mark.parametrize("breaker", [f"{PAY}:op:charge", f"{PAY}:instance:pay-3", f"{PAY}:from:order-service"])
def test_a_narrower_breaker_holds_back_its_own_calls_alone(member, breaker):
    member.told(OPEN, 1, breaker=breaker, until=5 * S)
    own = {"op": {"operation": "charge"}, "instance": {"instance": "pay-3"}, "from": {}}[breaker.split(":")[1]]
    assert not member.permits(**own)
    assert member.permits(operation="refund", instance="pay-4") == (":from:" not in breaker)


def test_one_that_is_known_before_its_service_counts_too():
    topics = Topics()
    Member(topics=topics).told(OPEN, 1, breaker=f"{PAY}:op:charge", until=5 * S)
    late = Member(topics=topics)
    late.fleet.hear()
    assert not late.permits(operation="charge")


def test_a_call_that_a_narrower_one_refuses_is_none_of_the_service_and_is_told_as_refused(member):
    member.told(HALF_OPEN, 1, permits={"order-1": 1}, lease=10 * S)
    member.told(OPEN, 2, breaker=f"{PAY}:op:charge", until=5 * S)
    assert not member.permits(operation="charge")
    assert member.permits(operation="refund")
    assert [(said["operation"], said["counts"]) for said in member.said()] == [
        ("charge", {"rejected": 1}),
        ("refund", {"success": 1}),
    ]


def test_a_narrower_one_that_is_gone_holds_nothing_back(member):
    name = f"{PAY}:op:charge"
    member.told(OPEN, 1, breaker=name, until=5 * S)
    member.topics.tell(name, None)
    member.fleet.hear()
    assert member.permits(operation="charge")


def test_narrower_ones_count_by_themselves_too(member):
    name = f"{PAY}:op:charge"
    member.told(CLOSED, 1, breaker=name)
    charge = member.pay.within(Scope(PAY, "charge"), straight)
    member.permits()
    for _ in range(4):
        member.permits(operation="refund")
    for _ in range(4):
        with pytest.raises((ZeroDivisionError, CallNotPermitted)):
            charge(lambda: 1 / 0, (), {})
    assert not member.permits(operation="charge")


def test_async_calls_are_held_back_too(member):
    member.told(OPEN, 1, breaker=f"{PAY}:op:charge", until=5 * S)

    async def later():
        return 7

    async def called(operation):
        async def way(fn, args, kwargs):
            return await fn(*args, **kwargs)

        return await member.pay.within_async(Scope(PAY, operation), way)(later, (), {})

    assert asyncio.run(called("refund")) == 7
    with pytest.raises(CallNotPermitted, match=f"'{PAY}:op:charge' is OPEN"):
        asyncio.run(called("charge"))


@pytest.mark.parametrize("value", [b"\xff", b"[]", b'{"breaker": "pay"}', b'{"more":' + b"[" * 100_000], ids=len)
def test_what_is_not_readable_is_passed_over(member, value):
    member.topics.tell(PAY, b'{"breaker": 7}')
    member.topics.tell(PAY, value)
    member.told(OPEN, 1, until=5 * S)
    assert member.pay.state is OPEN


@pytest.mark.parametrize("then", ["told", "gone"])
def test_who_hears_of_a_state_may_wait_for_others_that_need_the_fleet(member, then):
    found = []

    def elsewhere(_event):
        other = threading.Thread(
            target=lambda: found.append(member.fleet.breaker("inventory-service").name), daemon=True
        )
        other.start()
        other.join(5)

    member.told(OPEN, 1, until=5 * S)
    member.pay.on_event(elsewhere, "STATE_TRANSITION")
    if then == "told":
        member.told(CLOSED, 2)
    else:
        member.topics.tell(PAY, None)
        member.fleet.hear()
    assert (member.pay.state, found) == (CLOSED, ["inventory-service"])


def test_a_breaker_without_a_fleet_is_told_nothing():
    assert CircuitBreaker("pay").told is None
