"""Exports whose card or SavedModels are damaged: refused in one line, or the pictures of the intact export."""

import json
import os
import shutil

from soak import commands
from soak.mutations import mutated
from soak.table import Finding
from soak.workers import Worker

VALUES = (
    None, True, False, 0, -1, 1, 5, 17, 2**31, 2**63, 10**400, 1e308, float("inf"), float("nan"), "", "x", "$x^{$", "a\nb",
    "\0", "x" * 100_000, [], {}, [[]], [0], [-1], [16, 16], [16, 16, 3], [32, 32, 3], [16, 16, None], [1e9, 1e9, 3], ["a", "b"],
    ["a", "a"], [1, 2], {"name": None}, {"name": "downscale"}, {"name": []}, "16",
)  # fmt: skip
# keys that programs read
READ = (
    "format", "image_shape", "input_shape", "latent_dim", "code_shape", "labels", "task", "held_out", "files",
    "encoder_outputs", "configuration", "priors", "data",
)  # fmt: skip


def nested(rng):
    """Text of JSON that is nested beyond any reader's stack."""
    depth = int(rng.choice([500, 2000, 100_000]))
    return str(rng.choice(["[", '{"a":'])) * depth + ("" if rng.random() < 0.3 else "]" * depth)


def changed_card(card, rng):
    """The text of a card with one to three wrong keys, and what was done."""
    card, described = json.loads(json.dumps(card)), []
    for _ in range(int(rng.integers(1, 4))):
        place, key = card, str(rng.choice(READ)) if rng.random() < 0.7 else str(rng.choice(list(card)))
        while isinstance(place.get(key), dict) and place[key] and rng.random() < 0.6:
            place = place[key]
            key = str(rng.choice(list(place)))
        kind = str(rng.choice(["value", "value", "value", "lost", "renamed"]))
        if kind == "value":
            place[key] = VALUES[int(rng.integers(len(VALUES)))]
            described.append(f"{key} = {str(place[key])[:30]!r}")
        else:
            value = place.pop(key, None)
            described.append(f"{key} {kind}")
            if kind == "renamed":
                place[key.upper()] = value
    return json.dumps(card), ", ".join(described)


def damage_card(folder, rng):
    """Damage the card.json of an export: what was done."""
    path, kind = folder / "card.json", rng.random()
    if kind < 0.65:
        text, what = changed_card(json.loads(path.read_text()), rng)
        path.write_text(text)
    elif kind < 0.85:
        data, what = mutated(path.read_bytes(), rng)
        path.write_bytes(data)
    elif kind < 0.95:
        path.write_text(nested(rng))
        what = "nested"
    else:
        what = str(rng.choice(["lost", "empty", "folder", "digits", "loop"]))
        path.unlink()
        if what == "folder":
            path.mkdir()
        elif what == "loop":
            path.symlink_to("card.json")
        elif what != "lost":
            path.write_text("9" * 5000 if what == "digits" else "")
    return f"card.json {what}"


def damage_file(folder, rng):
    """Damage one of the files of the three SavedModels: what was done. One time in ten nothing is but the time of a file."""
    names = ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index", "fingerprint.pb"]
    model = str(rng.choice(["encoder", "decoder", "generator"]))
    path = folder / model / str(rng.choice(names, p=[0.4, 0.4, 0.15, 0.05]))
    kind = str(rng.choice(["bits", "bits", "mutated", "mutated", "empty", "lost", "swapped", "folder", "touched", "cut"]))
    data = path.read_bytes()
    what = f"{model}/{path.name} {kind}"
    if kind == "bits":
        changed = bytearray(data)
        for bit in rng.choice(8 * len(data), int(rng.integers(1, 9)), replace=False):
            changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
    elif kind == "mutated":
        data, names = mutated(data, rng)
        path.write_bytes(data)
        what += f": {names}"
    elif kind == "swapped":
        other = {"encoder": "decoder", "decoder": "generator", "generator": "encoder"}[model]
        shutil.copyfile(folder / other / path.relative_to(folder / model), path)
    elif kind in ("lost", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    elif kind == "touched":
        os.utime(path, (0, 0))
    else:
        path.write_bytes(b"" if kind == "empty" else data[: int(rng.integers(len(data)))])
    return what


class Damaged:
    """The body of a kind of cases: copies of an intact export that `damage(folder, rng)` damages."""

    def __init__(self, damage):
        self.damage, self.worker = damage, None

    def __call__(self, campaign, index, rng, place):
        if self.worker is None:
            self.worker = Worker(campaign, "exports", lasts=100)
        intact = campaign.exports / ("conditional" if index % 3 == 2 else "plain")
        folder = place / "export"
        shutil.copytree(intact, folder)
        what = f"{intact.name}, {self.damage(folder, rng)}"
        answer = self.worker.ask(60, function="compare", folder=str(folder), intact=[str(intact)])
        wrong = answer.get("wrong", "")
        if "touched" in what and answer.get("answer") != "the same":
            wrong = f"nothing was damaged: {wrong or answer['answer']}"
        return Finding(what, wrong, mebibytes=answer["mebibytes"], seconds=answer["seconds"])


def used(campaign, index, rng, place):
    """A real command on a damaged export: one line, or its work."""
    folder = place / "export"
    shutil.copytree(campaign.exports / "plain", folder)
    what = (damage_card, damage_file)[index % 2](folder, rng)
    out = place / "out.png"
    data = ["--data", campaign.training.pictures]
    more = {"generate": ["--n", "4"], "score": data, "embed": data, "reconstruct": data, "evaluate": data}
    verb = list(more)[index % len(more)]
    if verb in ("evaluate", "embed"):
        out = place / "out"
    outcome = commands.run(campaign, [verb, "--model", folder, "--out", out, *more[verb]], place)
    wrong = outcome.wrong(place)
    if not wrong and outcome.status == 0 and verb == "generate" and out.read_bytes() != campaign.training.picture.read_bytes():
        wrong = "undetected, another picture"
    return Finding(f"{verb}: {what}", wrong, mebibytes=outcome.mebibytes, seconds=outcome.seconds)
