from __future__ import annotations

import pickle

from stages.core.errors import Problem, UserError, nearest, user_error


def test_one_screen_with_place_line_caret_and_hint() -> None:
    assert str(Problem("a.yaml", 3, 4, "E999", "it is wrong", "mend it", "ab: cd")) == (
        "a.yaml:3:4: E999 it is wrong\n    ab: cd\n       ^\n    hint: mend it"
    )
    assert str(Problem("a.yaml", 0, 0, "E999", "it is wrong")) == "a.yaml: E999 it is wrong"


def test_the_caret_stands_right_behind_tabs_and_escapes() -> None:
    problem = Problem("a", 1, 4, "E999", "m", "", "\t\x1b[x")
    assert str(problem) == "a:1:4: E999 m\n      [x\n       ^"


def test_a_long_line_is_cut_around_the_caret() -> None:
    source = "a" * 300 + "!" + "b" * 300
    _, line, caret = str(Problem("a", 1, 301, "E999", "m", "", source)).split("\n")
    assert line == "    …" + "a" * 79 + "!" + "b" * 78 + "…"
    assert line[len(caret) - 1] == "!"
    for column in (1, 100, 160, 500, 601):
        _, line, caret = str(Problem("a", 1, column, "E999", "m", "", source)).split("\n")
        assert len(line) <= 164
        assert len(caret) <= len(line) + 1


def test_problems_are_sorted_and_said_once() -> None:
    first, second = Problem("a", 2, 1, "E2", "m"), Problem("a", 10, 1, "E1", "m")
    assert UserError([second, first, second]).problems == [first, second]
    assert str(user_error("a", "E1", "m", "h")) == "a: E1 m\n    hint: h"


def test_hints_name_the_nearest_word_or_all() -> None:
    assert nearest("drect", {"direct", "other"}) == "did you mean 'direct'?"
    assert nearest("zzz", {"b", "a"}) == "allowed: a, b"
    assert nearest("zzz", []) == ""


def test_a_users_mistake_can_be_sent_to_another_process() -> None:
    problem = Problem("a.yaml", 3, 1, "E112", "the file lacks a key", "add it", "spec: 1")
    sent = pickle.loads(pickle.dumps(UserError([problem])))
    assert (type(sent), sent.problems, str(sent)) == (UserError, [problem], str(problem))
