"""The documents agree with the catalogue and the configuration, and their tables can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog

from artist_transfer.pipeline_registry import pipeline_names
from artist_transfer.pipelines.group_factors.nodes import NAMES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
REAL = sorted(path.parent.name for path in (ROOT / "conf").glob("*/parameters.yml") if path.parent.name != "base")
RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def tables(text: str) -> Iterator[list[str]]:
    """Give the lines of each table: those that begin with a bar and stand together, outside of code."""
    block: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        fenced ^= line.lstrip().startswith("```")
        if line.lstrip().startswith("|") and not fenced:
            block.append(line.strip())
        elif block:
            yield block
            block = []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_table_has_a_header_and_as_many_cells_in_every_row(name: str) -> None:
    for block in tables((ROOT / name).read_text()):
        assert len(block) > 2 and RULE.fullmatch(block[1]), f"{name}: no header above {block[0]}"
        for line in block:
            assert len(cells(line)) == len(cells(block[0])), f"{name}: {line}"


def described() -> dict[str, str]:
    """Read which output `docs/data.md` puts into which file."""
    found: dict[str, str] = {}
    for block in tables((ROOT / "docs" / "data.md").read_text()):
        if cells(block[0])[:2] != ["output", "file"]:
            continue
        for line in block[2:]:
            names, (path,) = (re.findall(r"`([^`]+)`", cell) for cell in cells(line)[:2])
            for name in names:
                for kind in NAMES.values() if "<set>" in name else ("",):
                    output = name.replace("<set>", kind)
                    assert output not in found, f"docs/data.md has two rows of {output}"
                    found[output] = "data/" + path.replace("<set>", kind).replace("<name>", output)
    return found


def test_every_output_stands_in_the_document_with_its_file() -> None:
    configure_project("artist_transfer")
    catalog = DataCatalog.from_config(yaml.safe_load((ROOT / "conf" / "base" / "catalog.yml").read_text()))
    outputs = {output for name in pipeline_names() for output in pipelines[name].all_outputs()}
    stored = {}
    for output in outputs:
        dataset = catalog.get(output)
        assert dataset is not None
        stored[output] = dataset._describe()["filepath"]
    assert described() == stored


@pytest.mark.parametrize("environment", REAL)
def test_a_real_corpus_has_every_block_of_real_corpora(environment: str) -> None:
    shared = yaml.safe_load((ROOT / "conf" / "base" / "globals.yml").read_text())["real_corpus"]
    own = yaml.safe_load((ROOT / "conf" / environment / "parameters.yml").read_text())
    assert set(shared) <= set(own)
