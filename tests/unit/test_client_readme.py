import ast
import io
import re
from pathlib import Path

from ruamel.yaml import YAML

from app.client import __all__ as public
from app.client.resilience import Resilience
from app.client.retry import RetryPolicy

README = (Path(__file__).parents[2] / "deploy/client/README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_settings_shown_are_read():
    (written,) = blocks("yaml")
    resilience = Resilience(YAML(typ="safe").load(io.StringIO(written)))
    parts = {part.kind: part.policy for part in resilience.parts("payment-service")}
    assert list(parts) == ["retry", "ratelimiter", "timelimiter", "bulkhead"]
    assert parts["retry"] == RetryPolicy(multiplier=2.0, budget_percent=20)
    assert [part.kind for part in resilience.parts("stock-service")] == ["timelimiter", "bulkhead"]


def test_the_python_shown_compiles_and_imports_what_there_is():
    for written in blocks("python"):
        tree = compile(written, "README", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "iopt_client"]
        assert {alias.name for node in imports for alias in node.names} <= set(public)
