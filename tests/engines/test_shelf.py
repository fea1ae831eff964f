from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines import shelf
from stages.engines.local import folder_digest
from stages.engines.shelf import Shelf, at_hand


class Counted(Shelf):
    """A shelf that counts what is read."""

    pieces = 0

    def read(self, name: str, at: int) -> bytes:
        self.pieces += 1
        return super().read(name, at)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """A model's folder on the driver's node, and an empty folder for temporary files here."""
    folder = tmp_path / "driver/model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "empty.txt").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    monkeypatch.setattr(shelf, "PIECE", 4096)
    return Counted(folder)


def test_nothing_is_sent_where_all_nodes_see_one_file_system(held: Counted) -> None:
    folder = held._folder
    assert at_hand(folder, folder_digest(folder), held) == folder
    assert held.pieces == 0


def test_a_node_without_the_files_is_sent_a_copy_once(held: Counted, tmp_path: Path) -> None:
    digest = folder_digest(held._folder)
    copy = at_hand(tmp_path / "absent", digest, held)
    assert copy.name == digest
    assert folder_digest(copy) == digest
    assert held.pieces == 4  # 2 bytes, and 10,240 in pieces of 4,096
    assert at_hand(tmp_path / "absent", digest, held) == copy
    assert held.pieces == 4


def test_another_model_at_the_same_path_is_not_taken(held: Counted, tmp_path: Path) -> None:
    here = Path(shutil.copytree(held._folder, tmp_path / "clone"))
    (here / "config.json").write_text('{"an": "older run"}')
    digest = folder_digest(held._folder)
    assert folder_digest(at_hand(here, digest, held)) == digest


def test_a_copy_that_was_cut_short_or_tampered_with_is_made_anew(
    held: Counted, tmp_path: Path
) -> None:
    digest = folder_digest(held._folder)
    copy = at_hand(tmp_path / "absent", digest, held)
    (copy / "config.json").write_text("not what was sent")
    part = copy.with_name(f"{digest}.part")
    part.mkdir()
    (part / "left.over").touch()
    assert folder_digest(at_hand(tmp_path / "absent", digest, held)) == digest
    assert not part.exists()


def test_a_model_that_changes_on_the_way(held: Counted, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        at_hand(tmp_path / "absent", "0" * 64, held)
    assert str(raised.value) == (
        f"{tmp_path / 'absent'}: E709 the model changed while it was sent to another node\n"
        "    hint: run again when nothing writes to this folder"
    )
