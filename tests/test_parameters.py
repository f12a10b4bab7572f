"""Unknown and impossible parameters are refused by their dotted key."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from artist_transfer.configuration import ProjectConfigLoader
from artist_transfer.errors import ArtistTransferError
from artist_transfer.parameters import RunParameters, check_parameters
from artist_transfer.pipelines.feature_learning.params import normalised_tasks
from artist_transfer.pipelines.typed import LARGEST, LARGEST_SEED, Block, members
from artist_transfer.settings import CONFIG_LOADER_ARGS
from artist_transfer.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = sorted(folder.name for folder in (ROOT / "conf").iterdir() if (folder / "parameters.yml").is_file())


def merged(env: str | None, **extra: Any) -> dict[str, Any]:
    loader = ProjectConfigLoader(str(ROOT / "conf"), env, extra, **CONFIG_LOADER_ARGS)
    parameters: dict[str, Any] = loader["parameters"]
    return parameters


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_environment_is_valid(env: str) -> None:
    assert check_parameters(merged(env, corpus_root="somewhere")).seed == 0


def test_every_parameter_stands_in_the_base_file() -> None:
    written = yaml.safe_load((ROOT / "conf" / "base" / "parameters.yml").read_text())
    assert set(written) == set(RunParameters.model_fields)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"bogus": 1}, ["bogus", "not a parameter", "architecture"]),
        ({"training": {"epochz": 3}}, ["training.epochz", "Did you mean epochs?"]),
        ({"factors": {"dictionary": {"centres": 3}}}, ["factors.dictionary.centres", "max_centres"]),
        ({"tasks": "gz"}, ["tasks='gz'", "g (genre)"]),
        ({"tasks": ""}, ["tasks=''", "non-empty"]),
        ({"tasks": "gg"}, ["tasks='gg'", "at most once"]),
        ({"architecture": "wide"}, ["architecture='wide'", "'mtn' or 'stn'"]),
        ({"split": "random"}, ["split='random'", "artist_disjoint"]),
        ({"cluster": {"scheduler": "localhost:8786"}}, ["cluster.scheduler='localhost:8786'", "tcp://host:8786"]),
        ({"cluster": {"scheduler": "tcp://host:99999"}}, ["cluster.scheduler='tcp://host:99999'"]),
        ({"cluster": {"schedulr": None}}, ["cluster.schedulr", "Did you mean scheduler?"]),
        ({"folds": 0}, ["folds=0", "greater than or equal to 1"]),
        ({"folds": 5, "split": "stratified"}, ["folds=5", "split=artist_disjoint"]),
        ({"device": "tpu"}, ["device='tpu'", "'cuda'"]),
        ({"training": {"batch": 0}}, ["training.batch=0"]),
        (
            {"training": {"engine": "fast", "distributed": {"processes": 2}}},
            ["training.engine=fast", "training.distributed asks for 2", "auto and plain"],
        ),
        ({"splitting": {"test_share": 1.5}}, ["splitting.test_share=1.5"]),
        (
            {"splitting": {"balanced": {"songs": 9, "division": [4, 1, 1]}}},
            ["splitting.balanced.division (4, 1, 1) must add up"],
        ),
        ({"splitting": {"balanced": {"division": "4+1"}}}, ["splitting.balanced.division=['4', '1']", "more parts"]),
        ({"splitting": {"balanced": {"division": "4+x+1"}}}, ["splitting.balanced.division.1='x'", "valid integer"]),
        ({"ingestion": {"folder": {"extensions": ".mp3+"}}}, ["ingestion.folder.extensions='.mp3+'", "joined by +"]),
        ({"ingestion": {"msd": {"tags": 5}}}, ["ingestion.msd.tags=5", "'frequent', or a list", "joined by +"]),
        ({"splitting": {"balanced": {"songs": 6, "division": "6+-1+1"}}}, ["splitting.balanced.division.1='-1'"]),
        ({"sets": {"songs": 8, "division": None}}, ["sets.songs=8 needs a division of its own"]),
        ({"splitting": {"balanced": {"songs": 25, "division": None}}}, ["splitting.balanced.songs=25 needs"]),
        ({"sets": {"songs": 6, "division": "0+4+2"}}, ["sets.division.0='0'", "greater than or equal to 1"]),
        ({"mel": {"probe": {"max_duration_s": math.inf}}}, ["mel.probe.max_duration_s=inf", "finite"]),
        ({"mel": {"probe": {"min_duration_s": 1000}}}, ["mel.probe.min_duration_s=1000", "max_duration_s=900"]),
        ({"mel": {"probe": {"silence_dbfs": 0}}}, ["mel.probe.silence_dbfs=0", "less than 0"]),
        ({"seed": 99999999999999999999999}, ["seed=99999999999999999999999", str(LARGEST_SEED)]),
        ({"seed": True}, ["seed=True", "numbers, not true and false"]),
        ({"tracking": "maybe"}, ["tracking='maybe'", "true or false"]),
        ({"threads": 1.5}, ["threads=1.5", "integer"]),
        ({"target": "../x"}, ["target='../x'", "letters, digits"]),
        ({"target": 7}, ["target=7", "bare numbers as numbers: in quotes", "--params \"target='7'\""]),
        ({"target": "self"}, ["target='self'", "not self"]),
        ({"recognition": {"fused": "mfcc"}}, ["recognition.fused='mfcc'", "basic, siamese, tag"]),
        ({"training": {"epochs": "none"}}, ["training.epochs='none'", "integer", "(or null)"]),
        ({"recognition": {"ubm": {"top": "all"}}}, ["recognition.ubm.top='all'", "(or null)"]),
        ({"artist_evaluation": {"hidden": "none"}}, ["artist_evaluation.hidden='none'", "or null"]),
        (
            {"artist_evaluation": {"discriminant_solver": "eigen", "discriminant_shrinkage": "none"}},
            ["artist_evaluation.discriminant_shrinkage='none'", "number, or 'auto' (or null)"],
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(extra: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ArtistTransferError) as caught:
        check_parameters(merged(None, **extra))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("extra", [{"seed": "none"}, {"training": {"batch": "none"}}, {"recognise": {"top": "all"}}])
def test_null_is_not_offered_where_it_is_not_allowed(extra: dict[str, Any]) -> None:
    with pytest.raises(ArtistTransferError) as caught:
        check_parameters(merged(None, **extra))
    assert "null" not in str(caught.value)


LISTS: dict[str, list[Any]] = {
    "ingestion.folder.extensions": [".mp3", ".flac"],
    "ingestion.msd.id_maps": ["a map.txt", "b.txt"],
    "ingestion.msd.sources": ["songs", "summary"],
    "ingestion.msd.tags": ["rock", "60s"],
    "sets.division": [3, 2, 1],
    "splitting.balanced.division": [3, 2, 1],
}
"""All parameters that are lists, and a value of each."""


def list_parameters(model: Any = RunParameters, place: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from list_parameters(field.annotation, f"{place}{name}.")
        elif re.search(r"\b(tuple|list|set|frozenset|Sequence)\[", str(field.annotation)):
            yield f"{place}{name}"


def test_every_list_is_known() -> None:
    assert set(list_parameters()) == set(LISTS)


def with_list(key: str, value: object) -> Any:
    """Give a list as the command line or a file would, and return what is read of it."""
    given: Any = value
    for part in reversed(key.split(".")):
        given = {part: given}
    read: Any = check_parameters(merged(None, **given))
    for part in key.split("."):
        read = getattr(read, part)
    return read


@pytest.mark.parametrize(("key", "value"), LISTS.items())
def test_every_list_can_be_written_with_a_plus(key: str, value: list[Any]) -> None:
    assert with_list(key, "+".join(map(str, value))) == with_list(key, value) == tuple(value)


@pytest.mark.parametrize("key", [key for key, value in LISTS.items() if isinstance(value[0], str)])
def test_one_word_is_a_list_of_it_and_a_written_list_keeps_its_plus_signs(key: str) -> None:
    word = LISTS[key][0]
    assert with_list(key, word) == (word,)
    if key != "ingestion.msd.sources":
        assert with_list(key, ["r+b", word]) == ("r+b", word)


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("study.cases", ["g", "gs-mtn"], "g+gs-mtn"),
        ("study.seeds", [0, 1, 2], "0+1+2"),
        ("study.seeds", 0, "0"),
        ("study.split_seeds", 7, "7"),
        ("study.ablations.choices", ["draw", "split"], "draw+split"),
        ("study.ablations.groups", [10, 20], "10+20"),
        ("sets.sizes", 500, "500"),
        ("sets.sizes", [500, 1000], "500+1000"),
        ("artist_study.kinds", ["basic"], "basic"),
        ("artist_study.seeds", [3, 4], "3+4"),
        ("artist_evaluation.targets", ["self", "gtzan"], "self+gtzan"),
        ("artist_evaluation.hidden", 64, "64"),
        ("artist_evaluation.hidden", [64, 32], "64+32"),
        ("recognition.systems", ["nets", "ivector"], "nets+ivector"),
        ("recognition.targets", ["self", "gtzan"], "self+gtzan"),
    ],
)
def test_what_is_kept_joined_may_be_a_list_or_one_number(key: str, given: object, read: str) -> None:
    assert with_list(key, given) == read


@pytest.mark.parametrize("key", ["study.seeds", "sets.sizes", "artist_evaluation.hidden"])
@pytest.mark.parametrize("given", [[], [0.5], ["a"], True, 1.5, "1,2", {}])
def test_what_is_no_number_is_not_joined(key: str, given: object) -> None:
    with pytest.raises(ArtistTransferError, match=rf"^{re.escape(key)}.*joined by \+"):
        with_list(key, given)


def leaves(model: type[Block] = RunParameters, place: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give every parameter and the types that it may have."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            yield from leaves(field.annotation, f"{place}{name}.")
        else:
            yield f"{place}{name}", members(field.annotation)


NUMBERS = [key for key, kinds in leaves() if {int, float} & set(kinds)]


@pytest.mark.parametrize("key", NUMBERS)
def test_no_number_is_infinite_or_true_or_larger_than_what_computes_with_it(key: str) -> None:
    whole = int in dict(leaves())[key]
    for value in (math.nan, math.inf, -math.inf, "inf", True, False, 10**400, *([LARGEST + 1] if whole else [])):
        with pytest.raises(ArtistTransferError, match=re.escape(key)):
            with_list(key, value)


SEEDS = [key for key in NUMBERS if key.split(".")[-1] == "seed"]


def test_the_largest_seed_is_taken_everywhere() -> None:
    assert len(SEEDS) == 4
    for key in SEEDS:
        assert with_list(key, LARGEST_SEED) == LARGEST_SEED
        with pytest.raises(ArtistTransferError, match=rf"{re.escape(key)}=4294967296: .*4294967295"):
            with_list(key, LARGEST_SEED + 1)


@pytest.mark.parametrize(
    ("key", "written", "checked"),
    [
        ("seed", 1.0, 1),
        ("seed", "5", 5),
        ("threads", 1.0, 1),
        ("workers", "2", 2),
        ("folds", 2.0, 2),
        ("tracking", "no", False),
        ("tracking", 0, False),
        ("tasks", "sg", "gs"),
        ("target", None, None),
    ],
)
def test_the_checked_value_is_the_one_that_is_passed_on(key: str, written: object, checked: object) -> None:
    given = merged(None, **{key: written})[key]
    assert given == checked and type(given) is type(checked)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_is_passed_on_passes_the_check_unchanged(env: str) -> None:
    passed = merged(env)
    assert check_parameters(passed).model_dump() == passed
    assert isinstance(passed["training"]["batch"], int)


def test_a_word_that_stands_for_a_list_stays_one() -> None:
    assert with_list("ingestion.msd.tags", "frequent") == "frequent"


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ArtistTransferError, match=r"(?s)seed=-1.*bogus|bogus.*seed=-1"):
        check_parameters(merged(None, bogus=1, seed=-1))


def test_an_environment_changes_single_keys_and_keeps_the_rest_of_a_block() -> None:
    parameters = merged("fma_medium")
    assert parameters["ingestion"]["fma"]["subset"] == "medium"
    assert parameters["ingestion"]["table"]["file"] == "tracks.csv"
    assert parameters["training"]["learning_rate"] == 0.001


def test_an_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(ArtistTransferError) as caught:
        merged("fma_mediun")
    assert "Did you mean fma_medium?" in str(caught.value)
    assert "folder" in str(caught.value)


@pytest.mark.parametrize("n", range(1, 6))
def test_any_subset_of_tasks_comes_out_in_canonical_order(n: int) -> None:
    for letters in itertools.permutations(TASKS, n):
        assert normalised_tasks("".join(letters)) == "".join(sorted(letters, key=TASKS.index))


def test_paper_environments_have_the_papers_hyper_parameters() -> None:
    for size in ("small", "medium", "large"):
        parameters = check_parameters(merged(f"fma_{size}"))
        assert parameters.training.epochs_by_device.cuda == 200
        assert parameters.transfer.epochs_by_device.cuda == 50
        assert parameters.factors.latent_dirichlet.groups == 40
        assert parameters.factors.dictionary.max_centres == 2048
        assert parameters.split == "stratified"
        assert parameters.splitting.test_share == 0.15


def test_the_configuration_folder_may_be_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf" / "base", tmp_path / "base")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "parameters.yml").write_text("seed: 7\n")
    loader = ProjectConfigLoader(str(tmp_path), "mine", {}, **CONFIG_LOADER_ARGS)
    assert loader["parameters"]["seed"] == 7
