"""Conformance scenarios: requests to a Letta server and the shapes of its responses.

Both the real and the embedded server run them. One YAML file describes one behavior. Its keys:

- ``about``: The behavior, in one sentence.
- ``agent``: Options of the agent besides its three tools, as in the body of ``POST /v1/agents/``.
- ``steps``: The requests, in order.

The keys of a step:

- ``request``: Method and path. ``{conversation}``, ``{default}``, ``{agent}``, ``{weather}``, ``{time}``,
  ``{guarded}``, ``{model}`` and kept names are replaced by the values of this server, also in ``query`` and ``body``.
- ``query``, ``body``, ``content`` (a body that is not JSON), ``headers``: Parts of the request.
- ``keep``: Names for values of the response, by their path: ``{run: 0.run_id}``.
- ``meanwhile``: Steps to run while the stream is read, after the number of events in ``after``. Defaults to 1.
- ``live``: Whether the stream must still be sent after the requests of ``meanwhile``, or else after its first event. On
  a slow machine it can end before. The scenario is then run again, as its responses depend on it.
- ``hang_up``: Number of events after which to close the connection.
- ``patience``: Read timeout [s], for requests on which the server stays silent.
- ``until``: Paths in the response and the values to wait for: ``{status: completed}``.
- ``timing``: Whether the number of tokens depends on timing, so that consecutive tokens count as one.
- ``unordered``: Whether the order of a list is undefined.

Transcripts contain only the ping that opens a stream, because the number of further pings depends on timing.
"""
