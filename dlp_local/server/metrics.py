"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dlp_local.core.events import ReplyDone

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_ROUTING_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Metrics:
    """Counters of one server; they may be counted up from any thread."""

    def __init__(self, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        """`waiting` and `running` give the number of answers that wait and that are computed."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "dlp_local_requests", "Requests by endpoint and status", ("endpoint", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "dlp_local_request_seconds", "Time of a request", ("endpoint",), registry=registry, buckets=_SECONDS
        )
        self._answers = Counter("dlp_local_answers", "Answers by how they ended", ("finish_reason",), registry=registry)
        self._adapters = Counter(
            "dlp_local_adapter_answers", "Answers by adapter of the mix", ("adapter",), registry=registry
        )
        self._prompt_tokens = Counter("dlp_local_prompt_tokens", "Tokens of prompts", registry=registry)
        self._cached_tokens = Counter(
            "dlp_local_cached_tokens", "Tokens of prompts that the engine still had", registry=registry
        )
        self._answer_tokens = Counter("dlp_local_answer_tokens", "Tokens of answers", registry=registry)
        self._first_token = Histogram(
            "dlp_local_first_token_seconds", "From a slot to the first token", registry=registry, buckets=_SECONDS
        )
        self._answer_seconds = Histogram(
            "dlp_local_answer_seconds", "From a slot to the whole answer", registry=registry, buckets=_SECONDS
        )
        self._routing = Histogram(
            "dlp_local_routing_seconds", "Routing of a message", registry=registry, buckets=_ROUTING_SECONDS
        )
        Gauge("dlp_local_answers_waiting", "Answers that wait", registry=registry).set_function(waiting)
        Gauge("dlp_local_answers_running", "Answers being computed", registry=registry).set_function(running)

    def count_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Counts a request that was answered, or whose client went away (499)."""
        self._requests.labels(endpoint, str(status)).inc()
        self._request_seconds.labels(endpoint).observe(seconds)

    def count_reply(self, reply: ReplyDone) -> None:
        """Counts an answer."""
        self._answers.labels(reply.finish_reason).inc()
        for part in reply.parts or (reply,):
            for name in part.route.mix.as_dict():
                self._adapters.labels(name).inc()
        self._prompt_tokens.inc(reply.prompt_tokens)
        self._cached_tokens.inc(reply.cached_tokens)
        self._answer_tokens.inc(reply.answer_tokens)
        self._routing.observe(reply.timings.route / 1000)
        if reply.answer_tokens:
            self._first_token.observe(reply.timings.first_token / 1000)
        self._answer_seconds.observe(reply.timings.total / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
