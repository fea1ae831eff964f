"""An engine whose answers were written beforehand: worked solutions, or another run's replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from stages.core.errors import user_error
from stages.engines.request import Completion, Deliver, Request


class RecordedEngine:
    """Answers from `texts`, at no cost.

    Args:
        texts: Recorded answer by request key.
        endpoint: Identity that the requests carry.
        model: Name that the requests carry.
    """

    def __init__(
        self, texts: Mapping[str, str], endpoint: str = "recorded", model: str = "recorded"
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self._texts = texts

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """Deliver the recorded texts in one go.

        Raises:
            UserError: E603, before anything is delivered, when a text is not there.
        """
        wanted = [request for request in requests if request.key in missing]
        absent = sum(request.key not in self._texts for request in wanted)
        if absent:
            raise user_error(
                self.endpoint,
                "E603",
                f"the recorded teacher has no answer to {absent} of {len(wanted)} requests",
                "record the missing answers, or ask only for strategies that were recorded",
            )
        if wanted:
            deliver([(item, Completion(self._texts[item.key], "stop", 0, 0)) for item in wanted])
