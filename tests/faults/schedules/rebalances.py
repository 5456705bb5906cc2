"""Workers that join, leave and come back, with records on their way."""

from __future__ import annotations

from tests.faults.scenario import Sent, encoded
from tests.faults.schedule import schedule
from tests.faults.schedules.kills import HOSTS, pause
from tests.faults.trial import TASKS, Trial
from tests.support.kafka import Written, wait_for
from tests.support.toy import Addition
from tests.support.workers import Process

SESSION_S = 45.0  # a busy machine takes its time to start a worker


def tasks_of(*workers: Process) -> set[str]:
    return {event["task"] for worker in workers for event in worker.events("task_ready")}


@schedule(bound_s=300)
def joining_and_leaving(trial: Trial) -> None:
    """Under load, beside one steady worker, two others join and leave the group in turn, 20 times."""
    trial.ready(data="steady", leave=True)
    with trial.load():
        for turn in range(trial.times(20, 2)):
            guest = trial.start(data=f"guest-{turn % 2}", leave=True)
            guest.until("tasks_assigned", within_s=90)
            pause(trial, 2)
            assert guest.stop() == 0
    trial.settle()


@schedule(bound_s=300)
def restarted_in_turn(trial: Trial) -> None:
    """A rolling restart of three workers under load, SIGTERM and start, five times round."""
    workers = {host: trial.start(data=host) for host in HOSTS}
    wait_for(lambda: len(tasks_of(*workers.values())) == TASKS, "all tasks to be taken", 90)
    with trial.load():
        for turn in range(trial.times(5, 1) * len(HOSTS)):
            host = HOSTS[turn % len(HOSTS)]
            assert workers[host].stop() == 0
            workers[host] = trial.start(data=host)
            workers[host].until("tasks_assigned", within_s=90)
    trial.settle()


@schedule(bound_s=300)
def deployed_with_a_topic_more(trial: Trial) -> None:
    """A rolling deploy of three workers under load adds a topic to a row; records lie there before the first (T2)."""
    gifts = f"{trial.group}.gifts"
    trial.kafka.create(gifts)
    workers = {host: trial.start(data=host) for host in HOSTS}
    wait_for(lambda: len(tasks_of(*workers.values())) == TASKS, "all tasks to be taken", 90)
    with trial.load():
        for host in HOSTS:
            give(trial, gifts)
            assert workers[host].stop() == 0
            workers[host] = trial.start(data=host, gifts=gifts)
            workers[host].until("tasks_assigned", within_s=90)
            pause(trial, 5)
        give(trial, gifts)
    trial.scenario.widen(gifts)
    trial.settle()


def give(trial: Trial, gifts: str, count: int = 100) -> None:
    made = [Addition(f"gift-{trial.dice.randrange(40)}", 1) for _ in range(count)]
    sent = [Sent(gifts, Written(one.account, encoded(one))) for one in made]
    trial.write(sent)
    trial.scenario.seen(*sent)


@schedule(bound_s=300)
def restarted_without_a_rebalance(trial: Trial) -> None:
    """Static membership: of two workers one is stopped or killed and is back within its session, 12 times.

    The other keeps its tasks, and the group its generation.
    """
    steady = trial.start(data="one", session_s=SESSION_S)
    other = trial.start(data="two", session_s=SESSION_S)
    for worker in (steady, other):
        worker.until("tasks_assigned", lambda events: bool(events) and len(events[-1]["tasks"]) == TASKS // 2)
    mine = set(other.events("tasks_assigned")[-1]["tasks"])
    with trial.load():
        before = len(steady.events("tasks_assigned")), trial.rebalances
        for turn in range(trial.times(12, 2)):
            if turn % 2:
                other.kill()
            else:
                assert other.stop() == 0
            other = trial.start(data="two", session_s=SESSION_S)
            other.until("task_ready", lambda events: {event["task"] for event in events} == mine)
    assert (len(steady.events("tasks_assigned")), trial.rebalances) == before, "a rebalance"
    trial.settle()
