"""HTTP on 8104: sagas of the worker that is asked."""

import pytest

from app.domain.sagas.ids import saga_id
from app.domain.sagas.messages import Error
from app.domain.sagas.saga_state import Open, Progress, Saga, State, StepState, Wait
from tests.support.web import AS_OF_AT, OneWorker


def saga(key: str, state: State = State.RUNNING, *, name: str = "order", **more) -> Saga:
    return Saga(
        saga=name,
        id=saga_id(name, key),
        version=1,
        key=key,
        run=1,
        state=state,
        seq=3,
        started_at=10,
        deadline_at=900_010,
        due_at=0,
        data=b"{}",
        origin_topic=None,
        origin_key=None,
        **more,
    )


@pytest.fixture
def worker() -> OneWorker:
    found = OneWorker()
    sagas = [saga(f"o-{n}") for n in range(5)] + [
        saga("o-5", State.COMPLETED, ended_at=99),
        saga("INV/2026/17", State.IN_DEBT, stuck="refund-refused"),
        saga("r-1", name="return"),
    ]
    found.tables["sagas"] = {one.id: one for one in sagas}
    return found


async def keys(served, path: str) -> list[str]:
    status, body = await served.get(path)
    assert status == 200
    assert body["as_of_at"] == AS_OF_AT
    return [item["key"] for item in body["items"]]


async def test_sagas_are_listed_page_by_page(served):
    seen, cursor = [], ""
    while cursor is not None:
        _, body = await served.get(f"/sagas?limit=3&cursor={cursor}")
        assert len(body["items"]) <= 3
        seen += [item["saga_id"] for item in body["items"]]
        cursor = body["next"]
    assert seen == sorted(["order/INV%2F2026%2F17", *(f"order/o-{n}" for n in range(6)), "return/r-1"])


async def test_a_list_is_narrowed_by_saga_and_state(served):
    assert await keys(served, "/sagas?saga=return") == ["r-1"]
    assert await keys(served, "/sagas?state=IN_DEBT") == ["INV/2026/17"]
    assert await keys(served, "/sagas?saga=order&state=RUNNING&limit=2") == ["o-0", "o-1"]
    assert await keys(served, "/sagas?saga=refund") == []


async def test_a_saga_is_shown_with_its_steps(served, worker):
    steps = (
        Progress("VALIDATE_INVENTORY", StepState.DONE, at=20, begun_at=10, attempt=2),
        Progress("PROCESS_PAYMENT", StepState.DOING, at=30, begun_at=20, attempt=1),
    )
    waiting = Open("query", 1, 2, Wait.REPLY, 30)
    worker.tables["sagas"]["order/o-1"] = saga("o-1", steps=steps, open=waiting)
    status, body = await served.get("/sagas/order/o-1")
    assert status == 200
    assert body == {
        "saga": "order",
        "saga_id": "order/o-1",
        "key": "o-1",
        "saga_version": 1,
        "run": 1,
        "state": "RUNNING",
        "stuck": None,
        "started_at": 10,
        "deadline_at": 900_010,
        "ended_at": None,
        "error": None,
        "seq": 3,
        "as_of_at": AS_OF_AT,
        "steps": [
            {
                "step": "VALIDATE_INVENTORY",
                "state": "DONE",
                "attempt": 2,
                "command_id": "order/o-1:VALIDATE_INVENTORY:do:r1:2",
                "at": 20,
            },
            {
                "step": "PROCESS_PAYMENT",
                "state": "DOING",
                "attempt": 1,
                "command_id": "order/o-1:PROCESS_PAYMENT:query:r1:2",
                "at": 30,
            },
        ],
    }


async def test_an_undone_step_names_its_undo(served, worker):
    steps = (Progress("PROCESS_PAYMENT", StepState.UNDONE, at=40, begun_at=20, attempt=1, undos=3),)
    error = Error("card-declined", "no funds")
    worker.tables["sagas"]["order/o-1"] = saga("o-1", State.COMPENSATED, steps=steps, error=error)
    _, body = await served.get("/sagas/order/o-1")
    assert body["steps"][0]["command_id"] == "order/o-1:PROCESS_PAYMENT:undo:r1:3"
    assert body["error"] == {"code": "card-declined", "message": "no funds"}


async def test_a_key_is_given_as_it_is_with_its_slashes_encoded(served):
    status, body = await served.get("/sagas/order/INV%2F2026%2F17")
    assert (status, body["key"], body["stuck"]) == (200, "INV/2026/17", "refund-refused")


async def test_an_unknown_saga_is_not_found(served):
    assert (await served.problem("GET", "/sagas/order/o-99"))["status"] == 404
    assert (await served.problem("GET", "/sagas/nothing/o-1"))["status"] == 404


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/sagas?limit=0", "limit"),
        ("/sagas?limit=1001", "limit"),
        ("/sagas?limit=ten", "limit"),
        ("/sagas?limit=" + "9" * 5_000, "limit"),
        ("/sagas?cursor=!!", "cursor"),
        ("/sagas?state=DONE", "state"),
        ("/sagas?saga=Order", "saga"),
        ("/sagas?colour=red", "colour"),
        ("/sagas/Order/o-1", "saga"),
        ("/sagas/order/" + "k" * 201, "key"),
    ],
)
async def test_a_wrong_question_is_refused_with_its_field(served, path, field):
    problem = await served.problem("GET", path)
    assert (problem["status"], problem["field"]) == (400, field)
    assert problem["title"] == "Bad Request"
