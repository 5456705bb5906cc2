"""What the events of each domain topic start, as the worker's own definitions say; keyed by topic."""

from app.domain.sagas.route import Routes
from app.engine.processor import View

routes: View[Routes] = View("routes")
