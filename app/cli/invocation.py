"""What every command has at hand: the settings, Kafka, a worker's HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import click

if TYPE_CHECKING:
    from app.config import Settings
    from app.engine.broker.admin import Admin
    from app.engine.plan import Plan

T = TypeVar("T")

ANSWER_S = 10.0
REFUSED = 400
NOT_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # bound to all addresses: asked at one


@dataclass
class Invocation:
    file: Path | None
    url: str | None = None
    as_json: bool = False

    @cached_property
    def settings(self) -> Settings:
        from app.config import SettingsRefused, load

        try:
            return load(self.file)
        except SettingsRefused as refused:
            raise click.ClickException(str(refused)) from refused

    @cached_property
    def plan(self) -> Plan:
        """What a worker with these settings would run."""
        from app.domain.sagas.definition_tree import BadDefinition
        from app.wire.definitions import load_definitions
        from app.worker.plan import plan_of

        try:
            return plan_of(self.settings, load_definitions(self.settings.definitions))
        except (BadDefinition, OSError) as error:
            raise click.ClickException(str(error)) from error

    def kafka(self, work: Callable[[Admin], Awaitable[T]]) -> T:
        from app.engine.broker.access import Access
        from app.engine.broker.admin import Refused, connected

        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say is said by the refusal
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)

        async def run() -> T:
            async with connected(Access(self.settings.bootstrap, self.settings.security)) as admin:
                return await work(admin)

        try:
            return asyncio.run(run())
        except Refused as refused:
            raise click.ClickException(str(refused)) from refused

    def get(self, path: str, **query: Any) -> Any:
        """What the worker of `--url` answers, else the one that the settings say."""
        return self._asked("GET", f"{path}{_query(query)}", None, {})

    def post(self, path: str, body: Any) -> Any:
        """The same, of a change."""
        return self._asked("POST", path, json.dumps(body), {"Content-Type": "application/json", **self._token()})

    def stream(self, path: str) -> Iterator[bytes]:
        """Line by line, until the worker ends it."""
        url = self._url()
        with _connected(url) as (connection, base):
            connection.request("GET", f"{base}{path}")
            answer = connection.getresponse()
            if answer.status >= REFUSED:
                _read(url, answer.status, answer.read())
            yield from answer

    def _asked(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Any:
        url = self._url()
        with _connected(url) as (connection, base):
            connection.request(method, f"{base}{path}", body, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        return _read(url, status, said)

    def _url(self) -> str:
        return self.url or self._usual_url()

    def _token(self) -> Mapping[str, str]:
        token = self.settings.http_token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _usual_url(self) -> str:
        host = NOT_HERE.get(self.settings.host, self.settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"


settled = click.make_pass_decorator(Invocation)


def _noted(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    assert option.name is not None
    setattr(ctx.find_object(Invocation), option.name, value)


url_option = click.option(
    "--url", expose_value=False, callback=_noted, help="A worker's HTTP; else server.address and server.port."
)
json_option = click.option("--json", "as_json", is_flag=True, expose_value=False, callback=_noted, help="As JSON.")


def _query(query: Mapping[str, Any]) -> str:
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return f"?{asked}" if asked else ""


@contextmanager
def _connected(url: str) -> Iterator[tuple[HTTPConnection, str]]:
    """To the worker, and what its paths begin with. Raises ClickException where none answers."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"{url!r}: expected http://host:port", param_hint="--url")
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        yield connection, parts.path.rstrip("/")
    except (OSError, HTTPException) as error:
        raise click.ClickException(f"no worker answers at {url}: {error} (server.port, --url)") from error
    finally:
        connection.close()


def _read(url: str, status: int, body: bytes) -> Any:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise click.ClickException(f"{url} answered {status}, and no JSON: is it a worker?") from error
    if status >= REFUSED:
        raise NotGiven(status, said.get("detail", "") if isinstance(said, dict) else "")
    return said


class NotGiven(click.ClickException):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail or f"the worker answered {status}")
        self.status = status
