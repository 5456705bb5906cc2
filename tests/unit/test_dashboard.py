"""The dashboard, as far as it can be checked without Grafana; tests/kafka/test_prometheus.py runs its queries."""

import itertools
import json
import re

from app.telemetry.metrics import CATALOGUE
from deploy.grafana import DASHBOARD, WIDTH, dashboard, expressions, text


def test_the_file_is_what_the_code_makes():
    assert DASHBOARD.read_text() == text(), "run `python -m deploy.grafana`"
    assert json.loads(text()) == dashboard()


def test_every_metric_of_our_own_is_shown_and_no_other():
    shown = {re.sub("_bucket$", "", name) for expr in expressions() for name in re.findall(r"iopt_[a-z_]+", expr)}
    assert shown == {name for name in CATALOGUE if name.startswith("iopt_")}


def test_labels_that_a_query_groups_by_are_declared():
    for expr in expressions():
        for labels, metric in re.findall(r"by \(([a-z, ]+)\) \((?:rate\()?(iopt_[a-z_]+)", expr):
            declared = CATALOGUE[re.sub("_bucket$", "", metric)].labels
            assert set(labels.split(", ")) <= {*declared, "le"}


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= WIDTH for panel in panels)
