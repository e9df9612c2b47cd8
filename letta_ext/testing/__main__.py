"""``python -m letta_ext.testing``: the embedded server on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .app import create_app
from .scenes import SCENES, Stage
from .server import listen, url_of


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m letta_ext.testing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8283, help="the port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--scene", choices=SCENES, default="default", help="what it holds (default: %(default)s)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to wait before each token")
    return parser.parse_args(given)


def log_requests(app: ASGIApp) -> ASGIApp:
    """Print a line for each request: its method, its path, and the status it got."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                print(scope["method"], scope["path"], message["status"], flush=True)
            await send(message)

        await app(scope, receive, noting if scope["type"] == "http" else send)

    return logged


def main(given: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Args:
        given: the arguments; those of the command line by default.
    """
    arguments = _arguments(given)
    app = create_app(arguments.scene)
    stage: Stage = app.state.stage
    stage.state.delay = arguments.delay
    try:
        bound = listen(arguments.host, arguments.port)
    except OSError as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        log_requests(app), log_level="critical", lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    bound.listen()
    print(f"Letta on {url_of(bound)} (agent {stage.agent_id}, conversation {stage.conversation_id})", flush=True)
    try:
        uvicorn.Server(config).run([bound])
    except KeyboardInterrupt:
        pass  # uvicorn raises the signal again once it has stopped
    finally:
        bound.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
