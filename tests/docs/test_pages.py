"""Every block of README and docs runs as it is written, page by page, from top to bottom."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from docs.pages import LANGUAGES, PAGES, ROOT, Block, Reader, blocks, unfenced
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.hls import find_ap_headers

BLOCKS = [block for page in PAGES for block in blocks(page)]


def heavy(page: Path) -> bool:
    """Whether the page runs commands or compiles hardware."""
    mine = [block for block in BLOCKS if block.page == page and not block.why]
    return any(b.language == "sh" or "verilog" in b.text for b in mine)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the repository, but may be written to."""
    for name in ("examples", "golden", "benchmarks", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def clothes(folder: Path) -> None:
    """300 digits where docs/fashion.md has downloaded 70,000 pictures of clothes."""
    target = folder / "fashion/usr/share/datasets/fashion-mnist"
    target.mkdir(parents=True)
    sample = np.load(ROOT / "examples/data/mnist_sample.npz")
    for split, stem, count in (("train", "train", 288), ("test", "t10k", 12)):
        images = sample[f"x_{split}"][:count]
        shape = np.array(images.shape, dtype=">u4").tobytes()
        (target / f"{stem}-images-idx3-ubyte").write_bytes(
            b"\0\0\x08\x03" + shape + images.tobytes()
        )
        labels = sample[f"y_{split}"][:count].astype(np.uint8)
        (target / f"{stem}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + shape[:4] + labels.tobytes()
        )


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, id=page.relative_to(ROOT).as_posix(), marks=[pytest.mark.slow] * heavy(page)
        )
        for page in PAGES
        if any(block.page == page and not block.why for block in BLOCKS)
    ],
)
def test_blocks_run_as_written(page: Path, place: Path) -> None:
    if heavy(page):
        need(find_verilator(), find_compiler(), find_make(), find_ap_headers())
    clothes(place)
    reader = Reader(place)
    before = set(sys.modules)
    for block in BLOCKS:
        if block.page == page and not block.why:
            reader.run(block)
    for name in set(sys.modules) - before:  # modules that the page wrote
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(place):
            del sys.modules[name]


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.why], ids=lambda block: block.place)
def test_blocks_that_cannot_run_say_why(block: Block) -> None:
    pytest.skip(block.why)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_all_code_is_seen(page: Path) -> None:
    """Code that no fence marks, or of a language that nothing runs, would go untested."""
    assert unfenced(page) == []
    assert page.read_text().count("```") == 2 * len([b for b in BLOCKS if b.page == page])
    for block in BLOCKS:
        if block.page == page:
            assert block.language in LANGUAGES, block.place
            assert block.title or block.why or block.language in LANGUAGES[:3], block.place
            if block.language == "text":
                hidden = re.search(
                    r"^\s*(?:\$ |nchw |make |pip |python )", block.text, re.MULTILINE
                )
                assert hidden is None, f"{block.place}: a command in a block of text is not run"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    build = (ROOT / "sim" / "Makefile").read_text()
    build += (ROOT / "neurocuda_hw" / "hls" / "templates" / "Makefile").read_text()
    text = "".join(page.read_text() for page in PAGES)
    targets = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
    assert targets >= {"demo", "test", "sim", "lint", "clean", "docs"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile + build, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_exist(page: Path) -> None:
    text = page.read_text()
    folders = "examples|neurocuda_hw|golden|tests|benchmarks|sim|results|docs"
    for path in re.findall(rf"`((?:{folders})/[\w./]*)`", text):
        if "NAME" in path:  # of something that is to be added
            continue
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(((?!https?:|#)[^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
