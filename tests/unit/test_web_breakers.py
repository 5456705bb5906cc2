"""Circuit breakers over HTTP: whichever worker is asked, all are shown; one is changed once its owner has done it."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.breakers.breaker import Breaker, Policy, State
from app.domain.breakers.calls import BreakerAct
from app.domain.breakers.fleet import Fleet, Kept
from app.domain.breakers.scopes import Scopes
from app.web import breaker_acts, problem
from app.web.service import Door, Elsewhere, Keepers, Restoring
from tests.support.product import free_port
from tests.support.web import OneWorker, Site, met, obey, site

PAY = "/actuator/circuitbreakers/payment-service"
BREAKERS = "/actuator/circuitbreakers"
EVENTS = "/actuator/circuitbreakerevents"
STREAM = "/actuator/streamcircuitbreakerevents"


def keeping(**states: State) -> OneWorker:
    """A worker whose settings name payment-service, and whose breakers do as they are told."""
    worker = OneWorker()
    worker.named = {"circuitbreaker": ["payment-service"]}
    rows = {name.replace("_", "-"): Kept(Breaker(state)) for name, state in states.items()}
    worker.tables["breakers"] = {name: Fleet({name: kept}) for name, kept in rows.items()}
    worker.acting = lambda act: obey(worker, act)
    return worker


@pytest.fixture
def worker() -> OneWorker:
    return keeping()


async def shown(of: Site) -> dict[str, str]:
    status, body = await of.get(BREAKERS)
    assert status == 200, body
    return {name: said["state"] for name, said in body["circuitBreakers"].items()}


async def test_what_settings_name_is_shown_before_anybody_called_it(worker: OneWorker, served: Site) -> None:
    worker.named = {"circuitbreaker": ["pay", "pay:op:charge", "ship", "ship:op:book"]}
    worker.scoped = {"pay": Scopes(("service", "operation"))}
    worker.policies = {"ship": Policy(initial_state=State.DISABLED)}
    assert await shown(served) == {"pay": "CLOSED", "pay:op:charge": "CLOSED", "ship": "DISABLED"}


async def test_whichever_worker_is_asked_all_breakers_are_shown() -> None:
    here, there = keeping(order_service=State.OPEN), keeping(courier_service=State.HALF_OPEN)
    here.elsewhere = {"payment-service": Elsewhere("http://nowhere")}
    async with site(there) as second, site(here) as first:
        here.keeping, there.keeping = Keepers({"b": second.url}, ()), Keepers({"a": first.url}, ())
        expected = {"courier-service": "HALF_OPEN", "order-service": "OPEN", "payment-service": "CLOSED"}
        assert (await shown(first), await shown(second)) == (expected, expected)


async def test_a_worker_that_does_not_answer_is_named_instead_of_left_out(worker: OneWorker, served: Site) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    worker.keeping = Keepers({"b": url}, ())
    refused = await served.problem("GET", BREAKERS)
    assert refused["status"] == 503
    assert f"a part is kept by {url}, which does not answer" in refused["detail"]


async def test_what_another_worker_says_of_its_own_part_is_passed_on(worker: OneWorker, served: Site) -> None:
    there = OneWorker()
    there.keeping = Keepers({}, ["breaker-2"])
    async with site(there) as second:
        worker.keeping = Keepers({"b": second.url}, ())
        refused = await served.problem("GET", BREAKERS)
        detail = f"a part is kept by {second.url}, which answers 503: breaker-2: not ready, ask again later"
        assert refused["detail"] == detail


@pytest.mark.parametrize(
    ("body", "act", "state"),
    [
        ({"updateState": "CLOSE"}, "close", "CLOSED"),
        ({"updateState": "FORCE_OPEN"}, "force-open", "FORCED_OPEN"),
        ({"updateState": "DISABLE"}, "disable", "DISABLED"),
        ({"updateState": "RESET"}, "reset", "CLOSED"),
        ({"state": "OPEN"}, "force-open", "FORCED_OPEN"),
        ({"state": "FORCED_OPEN"}, "force-open", "FORCED_OPEN"),
        ({"state": "CLOSED"}, "close", "CLOSED"),
        ({"state": "DISABLED"}, "disable", "DISABLED"),
        ({"state": "METRICS_ONLY", "reason": "a trial"}, "metrics-only", "METRICS_ONLY"),
    ],
)
async def test_a_breaker_is_changed_by_hand(worker: OneWorker, served: Site, body: Any, act: str, state: str) -> None:
    message = "payment-service state has been changed successfully"
    answer = {"circuitBreakerName": "payment-service", "currentState": state, "message": message}
    assert await served.post(PAY, body) == (200, answer)
    [sent] = worker.acts
    assert (sent.act, sent.service, sent.actor) == (act, "payment-service", "anonymous@127.0.0.1")
    assert sent.reason == body.get("reason", "")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"state": "HALF_OPEN"}', "state"),
        ('{"updateState": "OPEN"}', "updateState"),
        ('{"updateState": 1}', "updateState"),
        ('{"state": "OPEN", "updateState": "FORCE_OPEN"}', "state"),
        ("{}", "updateState"),
        ('{"state": "OPEN", "why": "so"}', "why"),
        ('{"state": "OPEN", "reason": 1}', "reason"),
        ('["OPEN"]', "body"),
        ('{"state": "OPEN"', "body"),
        ("", "body"),
        pytest.param("[" * 100_000, "body", id="deep"),
        pytest.param('{"state": "OPEN", "reason": "%s"}' % ("x" * 1_001), "reason", id="long"),
    ],
)
async def test_a_wrong_body_is_named(worker: OneWorker, served: Site, body: str, field: str) -> None:
    refused = await served.problem("POST", PAY, data=body, headers={"Content-Type": "application/json"})
    assert (refused["status"], refused["field"]) == (400, field)
    assert not worker.acts


async def test_a_form_as_a_browser_sends_it_from_anywhere_is_refused(served: Site) -> None:
    assert (await served.problem("POST", PAY, data={"state": "OPEN"}))["status"] == 415


async def test_a_breaker_that_nobody_knows_is_not_made(worker: OneWorker, served: Site) -> None:
    for name in ("nobody", "payment-service:op:charge"):
        refused = await served.problem("POST", f"{BREAKERS}/{name}", json={"state": "OPEN"})
        assert (refused["status"], refused["detail"]) == (404, f"there is no breaker {name}")
    assert not worker.acts


async def test_the_owner_does_it_whoever_is_asked_and_hears_for_whom() -> None:
    here, there = keeping(), keeping()
    async with site(there) as second, site(here) as first:
        here.elsewhere = {"payment-service": Elsewhere(second.url)}
        here.says_door = there.says_door = Door(token="s3cret")
        token = {"Authorization": "Bearer s3cret"}
        status, body = await first.post(PAY, {"state": "OPEN"}, **token)
        assert (status, body["currentState"]) == (200, "FORCED_OPEN")
    assert ([act.actor for act in there.acts], here.acts) == (["token@127.0.0.1"], [])


async def test_who_shows_no_token_is_not_believed_to_ask_for_another(worker: OneWorker, served: Site) -> None:
    assert (await served.post(PAY, {"state": "OPEN"}, **{"iopt-asked-for": "boss"}))[0] == 200
    assert [act.actor for act in worker.acts] == ["anonymous@127.0.0.1"]


@pytest.mark.parametrize("where", [Elsewhere(None), Restoring()])
async def test_without_an_owner_it_may_be_asked_again(worker: OneWorker, served: Site, where: Any) -> None:
    worker.elsewhere = {"payment-service": where}
    async with served.request("POST", PAY, json={"state": "OPEN"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_without_kafka_it_may_be_asked_again(worker: OneWorker, served: Site) -> None:
    worker.acting = None
    refused = await served.problem("POST", PAY, json={"state": "OPEN"})
    assert (refused["status"], refused["detail"]) == (503, "no Kafka broker answers")


async def test_while_kafka_is_silent_nobody_waits_for_long(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem, "KAFKA_S", 0.05)
    worker.kafka_answers.clear()
    for method, path in (("POST", PAY), ("GET", EVENTS), ("GET", STREAM)):
        refused = await served.problem(method, path, json={"state": "OPEN"})
        assert (refused["status"], refused["detail"]) == (503, "Kafka does not answer within 0.05 s")


async def test_what_does_not_show_in_time_is_only_accepted(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_acts, "PATIENCE_S", 0.1)
    monkeypatch.setattr(breaker_acts, "AUDIT_S", 0.1)
    worker.acting = lambda _: None
    status, body = await served.post(PAY, {"state": "OPEN"})
    assert (status, body["currentState"]) == (202, "CLOSED")
    assert worker.acts[0].act_id in body["message"]


@pytest.mark.parametrize("state", [State.CLOSED, State.DISABLED])
async def test_what_the_owner_refused_is_a_conflict_that_says_why_however_the_breaker_stands(
    worker: OneWorker, served: Site, state: State
) -> None:
    worker.acting = lambda act: obey(worker, act, state, "there is no room")
    refused = await served.problem("POST", PAY, json={"state": "CLOSED"})
    detail = f"close was refused: there is no room; its act_id is {worker.acts[0].act_id}"
    assert (refused["status"], refused["detail"]) == (409, detail)


async def test_a_refusal_that_no_row_remembers_is_found_in_the_audit(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_acts, "PATIENCE_S", 0.1)

    def refuse(act: BreakerAct) -> None:
        obey(worker, act, why="the settings name none")
        worker.tables["breakers"].clear()

    worker.acting = refuse
    assert (await served.problem("POST", PAY, json={"state": "CLOSED"}))["status"] == 409


@pytest.mark.parametrize(
    ("fleet", "stands"),
    [
        (Fleet({"payment-service": Kept(Breaker(State.DISABLED))}), "payment-service is DISABLED"),
        (Fleet(), "there is no payment-service"),
    ],
)
async def test_an_act_that_another_came_after_is_a_conflict_that_says_how_the_breaker_stands(
    worker: OneWorker, served: Site, fleet: Fleet, stands: str
) -> None:
    worker.acting = lambda act: met(worker, act, fleet)
    refused = await served.problem("POST", PAY, json={"state": "OPEN"})
    detail = f"{stands}: force-open was done, and overtaken; its act_id is {worker.acts[0].act_id}"
    assert (refused["status"], refused["detail"]) == (409, detail)


async def test_an_act_whose_verdict_does_not_show_is_only_accepted(
    worker: OneWorker, served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_acts, "AUDIT_S", 0.1)

    def forget(act: BreakerAct) -> None:
        obey(worker, act)
        worker.topics.clear()

    worker.acting = forget
    assert (await served.post(PAY, {"state": "OPEN"}))[0] == 202


async def test_where_others_reach_it_changes_need_a_token(worker: OneWorker, served: Site) -> None:
    worker.says_door = Door("0.0.0.0")
    refused = await served.problem("POST", PAY, json={"state": "OPEN"})
    assert refused["status"] == 403
    assert "set iopt.http-token (IOPT_HTTP_TOKEN)" in refused["detail"]
    assert not worker.acts


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}])
async def test_a_wrong_token_is_refused(worker: OneWorker, served: Site, shown: dict[str, str]) -> None:
    worker.says_door = Door("0.0.0.0", "s3cret")
    async with served.request("POST", PAY, json={"state": "OPEN"}, headers=shown) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="iopt"')
    assert not worker.acts


async def test_the_right_token_is_let_in_and_reading_needs_none(worker: OneWorker, served: Site) -> None:
    worker.says_door = Door("0.0.0.0", "s3cret")
    assert (await served.post(PAY, {"state": "OPEN"}, Authorization="Bearer s3cret"))[0] == 200
    assert [act.actor for act in worker.acts] == ["token@127.0.0.1"]
    assert await shown(served) == {"payment-service": "FORCED_OPEN"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("retries", {"retries": ["pay", "ship"]}),
        ("ratelimiters", {"rateLimiters": []}),
        ("bulkheads", {"bulkheads": ["mail", "pay"]}),
        ("timelimiters", {"timeLimiters": ["pay"]}),
        ("retryevents/pay", {"retryEvents": []}),
        ("retryevents/pay/ignored_error", {"retryEvents": []}),
        ("ratelimiterevents", {"rateLimiterEvents": []}),
        ("bulkheadevents/mail/CALL_REJECTED", {"bulkheadEvents": []}),
        ("timelimiterevents/pay", {"timeLimiterEvents": []}),
    ],
)
async def test_what_callers_have_is_listed_in_resilience4js_shapes(worker: OneWorker, path: str, body: Any) -> None:
    worker.named = {"retry": ["ship", "pay"], "bulkhead": ["pay"], "thread-pool-bulkhead": ["mail"]}
    worker.named["timelimiter"] = ["pay"]
    async with site(worker) as served:
        assert await served.get(f"/actuator/{path}") == (200, body)


async def test_names_and_types_that_are_not_known_are_refused(worker: OneWorker) -> None:
    worker.named = {"retry": ["pay"]}
    async with site(worker) as served:
        assert (await served.problem("GET", "/actuator/retryevents/nobody"))["status"] == 404
        assert (await served.problem("GET", "/actuator/retryevents/pay/DRAINED"))["field"] == "type"
