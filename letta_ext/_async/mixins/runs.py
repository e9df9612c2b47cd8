"""The method of `client.runs` that has no operation of its own: `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from letta_api import api

from ..transport import AsyncTransport

if TYPE_CHECKING:
    from typing import Unpack

    from ..._http.requests import RequestOptions


class AsyncRunsMixin:
    """`cancel`."""

    _transport: AsyncTransport

    async def cancel(self, run_id: str, **options: Unpack[RequestOptions]) -> dict[str, Any]:
        """Cancel one run. Two requests: the server cancels runs by their agent, which `retrieve` returns.

        Args:
            run_id: The ID of the run in the format 'run-<uuid4>'
            **options: Options of both requests, such as `timeout` and `extra_headers`: see `RequestOptions`.

        Returns:
            `{run_id: "cancelled"}`, also for a run that has ended.

        Raises:
            BadRequestError: If `run_id` is malformed.
            NotFoundError: If the run does not exist.
            APIError: If a request fails: see `letta_ext.errors`.
        """
        reading = {name: value for name, value in options.items() if name != "extra_body"}
        run = await self._transport.call(api.runs.runs_retrieve, (run_id,), reading)
        arguments = {**options, "run_ids": [run_id]}
        return await self._transport.call(api.agents_messages.agents_messages_cancel, (run.agent_id,), arguments)
