import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from soak import __main__ as soak  # noqa: E402  a benchmark, not a part of the package
from soak import bombs, commands, experiments, exports, mutations, pictures, table  # noqa: E402

from keras_ae.images.pictures import decode  # noqa: E402


@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_a_mutation_is_that_of_its_seed(name):
    data = np.random.default_rng(0).bytes(500)
    changed = [mutations.MUTATIONS[name](data, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert changed[0] == changed[1]
    assert len(set(changed)) > 2


@pytest.mark.parametrize("data", [b"x", b"\0" * 100, b"[data]\nsize = 16\n"], ids=["byte", "zeros", "toml"])
def test_mutated_bytes_are_other_bytes(data):
    assert all(mutations.mutated(data, np.random.default_rng(seed))[0] != data for seed in range(200))


def test_cases_depend_on_the_seed_alone():
    for made in (
        lambda seed: pictures.damaged(0, np.random.default_rng(seed)),
        lambda seed: experiments.damaged(np.random.default_rng(seed)),
    ):
        assert [made(seed) for seed in range(20)] == [made(seed) for seed in range(20)]
        assert len({made(seed)[0] for seed in range(20)}) > 15


def test_a_damaged_export_has_other_files(tmp_path):
    for model in ("encoder", "decoder", "generator"):
        (tmp_path / model / "variables").mkdir(parents=True)
        for name in (
            "saved_model.pb",
            "fingerprint.pb",
            "variables/variables.index",
            "variables/variables.data-00000-of-00001",
        ):
            (tmp_path / model / name).write_bytes(f"{model} {name}".encode() * 20)
    (tmp_path / "card.json").write_text(json.dumps({key: {"a": [1, 2]} for key in exports.READ}))

    def contents():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    for damage, seed in ((exports.damage_file, 3), (exports.damage_file, 4), (exports.damage_card, 5)):
        before = contents()
        what = damage(tmp_path, np.random.default_rng(seed))
        assert (contents() != before) == ("touched" not in what), what


def test_bombs_are_pictures_that_decode():
    # small ones; all but the BMP have all their pixels
    made = [bombs.png(40, 30, colour) for colour in bombs.PNG_CHANNELS]
    made += [bombs.jpeg(40, 30), bombs.jpeg(40, 30, progressive=False), bombs.webp(40, 30), bombs.gif(400, 300)]
    for data in made:
        assert decode(data, 16).shape == (16, 16, 3)
        assert len(data) < 5000


def test_intact_pictures_of_the_corpus_decode_where_the_documentation_names_their_format():
    named = [(what, data) for what, data, suffix in pictures.corpus() if suffix]
    assert len(named) > 20
    for what, data in named:
        assert decode(data, 16).dtype == np.uint8, what


def test_the_table_adds_up_and_says_how_to_repeat_what_fell_short():
    first, second = table.Row("kills", 2), table.Row("pictures", 10)
    first.add(0, table.Finding("a kill", count=2, mebibytes=300, seconds=9))
    for index in range(5):
        second.add(index, table.Finding("odd\nname", "escaped" if index == 3 else "", mebibytes=100, seconds=index))
    lines = table.markdown([first, second]).splitlines()
    assert lines[2] == "| kills | 2 | 0 | 300 MiB | 9.0 s |"
    assert lines[3] == "| pictures | 5 | 1 | 100 MiB | 4.0 s |"
    assert lines[4] == "| all | 7 | 1 | 300 MiB | 9.0 s |"
    shortfall, missing = table.explanations([first, second], 7)
    assert shortfall.endswith('[python benchmarks/soak --seed 7 --only "pictures:3"]')
    assert "\n" not in shortfall
    assert missing.startswith("pictures: 5 of 10 planned cases")


def test_counts_scale_with_the_minutes_and_shares_add_up():
    kinds = soak.kinds()
    full = {kind.name: kind.wanted(20) for kind in kinds}
    assert full["pictures"] >= 3000
    assert full["experiment files"] >= 3000
    assert full["cards"] + full["SavedModels"] >= 1000
    assert full["kill -9"] >= 40
    small = {kind.name: kind.wanted(1) for kind in kinds}
    assert small["pictures"] >= 50
    assert small["kill -9"] == 2
    assert sum(kind.share for kind in kinds) == pytest.approx(soak.CORES, abs=0.05)


@pytest.mark.parametrize(
    "status, err, wrong",
    [
        (0, "warning: one\n 50%|#####     | 1/2\r", ""),
        (2, "generate: error: no\n", ""),
        (2, "generate: error: no\nmore\n", "2 lines"),
        (1, "no\n", "exit status 1"),
        (-11, "", "exit status -11"),
        (2, "Traceback (most recent call last):\n", "traceback"),
        (130, "train: interrupted: 1 whole epoch. Continue with\n  python -m\n", ""),
        (130, "", "not said"),
    ],
)
def test_rules_of_every_command(tmp_path, status, err, wrong):
    outcome = commands.Outcome(["generate"], status, "", err, 1.0, 100.0, 77)
    assert wrong in outcome.wrong(tmp_path, statuses=(0, 2, 130))
    assert bool(wrong) == bool(outcome.wrong(tmp_path, statuses=(0, 2, 130)))


def test_half_written_files_of_the_process_fall_short(tmp_path):
    (tmp_path / ".a.png.partial-77").touch()
    (tmp_path / ".a.png.partial-78").touch()
    assert "partial-77" in commands.Outcome(["generate"], 0, "", "", 1.0, 100.0, 77).wrong(tmp_path)
    assert not commands.Outcome(["generate"], 0, "", "", 1.0, 100.0, 79).wrong(tmp_path)
