from __future__ import annotations

from pathlib import Path

import pytest

from stages.compiler.fields import value
from stages.importing.draft import Draft, NotCarriedError
from stages.importing.promptsource import convert
from tests.projects import Copy

NEWS = """
dataset: ag_news
templates:
  1a: !Template
    answer_choices: [World News, Sports, "It's \\\\ Business"]
    id: 1a
    jinja: "{{text}} \\n\\nWhich section is it from? ||| \\n{{answer_choices[label] }}"
    metadata: !TemplateMetadata {original_task: true, metrics: [Accuracy]}
    name: which section?
  2b: !Template
    answer_choices: null
    id: 2b
    jinja: "No answer to {{text}}"
    metadata: !TemplateMetadata {metrics: [BLEU]}
    name: open
  3c: !Template
    answer_choices: "yes ||| {{ other }}"
    id: 3c
    jinja: "Is it news? {{ text }} ||| {{ answer_choices[label] }}"
    metadata: !TemplateMetadata {original_task: false, metrics: [BLEU]}
    name: which section?
"""


def test_each_template_is_a_task(tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text(NEWS)
    one, two, three = convert(path, "b" * 40)
    assert isinstance(one, Draft) and isinstance(three, Draft)
    assert two == ("open", "its text has no single ||| between question and answer")
    assert (one.id, three.id) == ("ag_news_which_section", "ag_news_which_section_2")
    row = {"text": "A match.", "label": 2, "other": "no"}
    assert value(one.row["question"], row) == "A match. \n\nWhich section is it from?"
    assert value(one.row["gold"], row) == "It's \\ Business"
    assert value(three.row["gold"], {**row, "label": 1}) == "no"
    assert three.notes == [
        "the metrics BLEU",
        "that this is not the data set's own task",
        "the splits: train, validation and test are assumed",
    ]


@pytest.mark.parametrize("text", ["- 1", "templates: []", "a: !Template [1", "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text(text)
    with pytest.raises(NotCarriedError):
        list(convert(path, None))


def test_the_command_reports_file_by_file_and_overwrites_nothing(
    project: Copy, tmp_path: Path
) -> None:
    folder = tmp_path / "ag_news"
    folder.mkdir()
    file = folder / "templates.yaml"
    file.write_text(NEWS)
    arguments = ("promptsource", "news", str(folder), "--revision", "b" * 40)
    done = project.run("-m", "stages.import_specs", *arguments)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{file}: open: its text has no single ||| between question and answer",
        f"{file}: ag_news_which_section.yaml, not carried over: the splits: train, validation and "
        "test are assumed",
        f"{file}: ag_news_which_section_2.yaml, not carried over: the metrics BLEU; that this is "
        "not the data set's own task; the splits: train, validation and test are assumed",
        "import: 2 tasks in 3 files under specs/tasks/news, 1 not carried; read them, then run "
        "`make check`",
    ]
    assert project.problems() == []  # well shaped; the suite is not run yet
    again = project.run("-m", "stages.import_specs", *arguments).stdout
    assert f"{file}: specs/tasks/news/ag_news_which_section.yaml is there already" in again
    assert "import: 0 tasks in 0 files under specs/tasks/news, 3 not carried" in again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lm-eval", "Bad Name", "."), "command line: E513 'Bad Name' cannot name a suite"),
        (("lm-eval", "ok", "."  , "--revision", "main"),
         "command line: E513 'main' is not a full commit"),
        (("lm-eval", "ok", "nowhere.yaml"), "nowhere.yaml: E101 this file does not exist"),
    ],
)  # fmt: skip
def test_mistakes_on_the_command_line(
    project: Copy, arguments: tuple[str, ...], message: str
) -> None:
    done = project.run("-m", "stages.import_specs", *arguments)
    assert done.returncode == 2
    assert done.stderr.split("\n")[0] == message
