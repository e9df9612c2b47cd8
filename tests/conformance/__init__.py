"""Scenarios: what a Letta server is asked and how it answers, to be played to the real one and to the embedded one.

One YAML file is one behaviour. Its keys:

- ``about``: the behaviour, in a sentence.
- ``agent``: what the agent has besides the three tools, as the body of ``POST /v1/agents/`` takes it.
- ``steps``: the requests, in order.

The keys of a step:

- ``request``: method and path. ``{conversation}``, ``{default}``, ``{agent}``, ``{weather}``, ``{time}``,
  ``{guarded}``, ``{model}`` and what was kept stand for this server's own, here and in ``query`` and ``body``.
- ``query``, ``body``, ``content`` (a body that is no JSON), ``headers``: what goes with it.
- ``keep``: names for values of the answer, by their place in it: ``{run: 0.run_id}``.
- ``meanwhile``: steps to take while this one's stream is being read, after so many of its events: ``after``, 1 by
  default.
- ``hang_up``: after how many events to close the connection.
- ``patience``: seconds of silence after which to give up waiting, where the server is silent for ever.
- ``until``: places of the answer and the values to wait for: ``{status: completed}``.
- ``timing``: true where the number of tokens is a matter of milliseconds, so that those of one kind count as one.
- ``unordered``: true where the order of a list is the database's choice.

Pings are left out of transcripts but for the one that opens a stream: how many come between the events is a matter of
how fast a server is.
"""
