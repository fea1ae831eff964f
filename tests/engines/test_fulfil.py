from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines.fulfil import fulfil
from stages.engines.recorded import RecordedEngine
from stages.engines.request import Completion, Deliver, Request
from stages.engines.store import Store


class Batches:
    """Generates whole batches of two over all requests, as the local engine does."""

    endpoint, model = "local", "m@1"

    def __init__(self, finish: str = "stop") -> None:
        self.asked: list[str] = []
        self.finish = finish

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        for start in range(0, len(requests), 2):
            batch = requests[start : start + 2]
            if any(request.key in missing for request in batch):
                self.asked += [request.messages[-1][1] for request in batch]
                deliver([(item, Completion("new", self.finish, 5, 3)) for item in batch])


def ask(question: str, max_tokens: int = 64, system: str = "Think.") -> Request:
    return Request("local", "m@1", (("system", system), ("user", question)), max_tokens)


def silent(done: int, total: int, tokens: int) -> None:
    pass


def test_each_request_once_and_the_second_run_is_free(tmp_path: Path) -> None:
    engine, seen = Batches(), []
    wanted = [ask("a"), ask("b"), ask("a"), ask("c")]
    with Store(tmp_path / "s") as store:
        first = fulfil(wanted, engine, store, lambda *now: seen.append(now))
        again = fulfil(reversed(wanted), engine, store, silent)
    assert engine.asked == ["a", "b", "c"]
    assert seen == [(0, 3, 0), (2, 3, 6), (3, 3, 9)]
    assert (first.held, first.generated) == (0, 3)
    assert (again.held, again.generated) == (3, 0)
    assert list(first.completions) == [ask(name).key for name in "abc"]
    assert again.completions == first.completions


def test_held_answers_that_an_engine_makes_again_do_not_count(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("a"), Completion("held", "stop", 5, 1))])
        result = fulfil([ask("a"), ask("b")], Batches(), store, lambda *now: seen.append(now))
    assert {key: item.text for key, item in result.completions.items()} == {
        ask("a").key: "held",
        ask("b").key: "new",
    }
    assert (result.held, result.generated) == (1, 1)
    assert seen == [(1, 2, 0), (2, 2, 3)]


def test_a_changed_system_message_is_another_request(tmp_path: Path) -> None:
    engine = Batches()
    with Store(tmp_path / "s") as store:
        fulfil([ask("a")], engine, store, silent)
        result = fulfil([ask("a", system="Think hard.")], engine, store, silent)
    assert result.generated == 1


def test_a_raised_limit_asks_only_what_was_cut_short(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        fulfil([ask("long")], Batches("length"), store, silent)
        fulfil([ask("short")], Batches("stop"), store, silent)
        engine = Batches()
        wanted = [ask("long", 128), ask("short", 128)]
        assert fulfil(wanted, engine, store, silent).generated == 1
        assert fulfil(wanted, engine, store, silent).generated == 0


def test_one_key_under_two_limits_is_asked_under_the_higher() -> None:
    engine = RecordedEngine({ask("a").key: "text"}, "local", "m@1")
    result = fulfil([ask("a", 64), ask("a", 128)], engine, None, silent)
    assert result.generated == 1


def test_the_first_of_two_processes_to_store_an_answer_wins(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store, Store(tmp_path / "s") as beside:

        class Slow(Batches):
            def complete(
                self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
            ) -> None:
                beside.put_many([(ask("a"), Completion("theirs", "stop", 5, 3))])
                super().complete(requests, missing, deliver)

        result = fulfil([ask("a")], Slow(), store, silent)
        assert result.completions[ask("a").key].text == "theirs"


def test_a_request_to_another_engine_is_a_bug() -> None:
    other = replace(ask("a"), model="m@2")
    with pytest.raises(ValueError, match="a request to local m@2 was handed to local m@1"):
        fulfil([other], Batches(), None, silent)


def test_an_engine_that_skips_a_request_is_a_bug() -> None:
    class Lazy(Batches):
        def complete(
            self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
        ) -> None:
            pass

    with pytest.raises(RuntimeError, match="the engine left 1 requests unanswered"):
        fulfil([ask("a")], Lazy(), None, silent)


def test_recorded_answers_need_no_store() -> None:
    wanted = [Request("recorded", "recorded", (("user", name),), 64) for name in "ab"]
    engine = RecordedEngine({request.key: f"to {request.key[:4]}" for request in wanted})
    result = fulfil(wanted, engine, None, silent)
    assert result.completions == {
        request.key: Completion(f"to {request.key[:4]}", "stop", 0, 0) for request in wanted
    }


def test_what_was_not_recorded() -> None:
    wanted = [Request("recorded", "recorded", (("user", name),), 64) for name in "abc"]
    with pytest.raises(UserError) as caught:
        fulfil(wanted, RecordedEngine({wanted[0].key: "x"}), None, silent)
    assert str(caught.value) == (
        "recorded: E603 the recorded teacher has no answer to 2 of 3 requests\n"
        "    hint: record the missing answers, or ask only for strategies that were recorded"
    )
