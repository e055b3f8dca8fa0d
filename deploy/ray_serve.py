"""Judges on Ray Serve: the paths of `acceptor serve`, on as many replicas as the requests need.

    pip install '.[serve,onnx]' 'ray[serve]'                  # in a checkout
    PYTHONPATH=deploy ACCEPTOR_API_KEY=… ray start --head     # or on every node of a cluster, with its address
    serve deploy deploy/ray_serve.yaml

On every node this file is on PYTHONPATH, the key is set, and the judges are at the same paths. Each replica loads them
and has queues of its own. Without a key: `no_auth: true` in `args`, and `host: 127.0.0.1` or a protected network.
"""

from __future__ import annotations

from pydantic import BaseModel
from ray import serve

from acceptor.environment import variable
from acceptor.errors import RequestError
from acceptor.serve.app import application
from acceptor.serve.server import load_judges
from acceptor.serve.service import Service
from acceptor.serve.settings import KEY_VARIABLE, ServeSettings


class Arguments(BaseModel):
    """What `args` has in the configuration. The key is in the replicas' variable ACCEPTOR_API_KEY."""

    judges: dict[str, str]
    no_auth: bool = False
    precision: str | None = None


@serve.deployment(max_ongoing_requests=256)
@serve.ingress()
class Acceptor:
    """A replica: the judges with their queues."""

    def __init__(self, arguments: Arguments) -> None:
        every = "0.0.0.0"  # noqa: S104 - it is Ray that listens, maybe on all addresses, so that there must be a key
        settings = ServeSettings(host=every, api_key=variable(KEY_VARIABLE), **arguments.model_dump())
        judges, versions = load_judges(settings)
        self.service = Service(judges, versions, settings)

    def __serve_build_asgi_app__(self):
        """What answers requests."""
        return application(self.service)

    async def check_health(self) -> None:
        """Ray restarts the replica if this fails three times."""
        try:
            await self.service.check_ready()
        except RequestError as error:
            raise RuntimeError(str(error)) from None  # Ray pickles it


def build(arguments: Arguments) -> serve.Application:
    """The application, from `args` of the configuration."""
    return Acceptor.bind(arguments)
