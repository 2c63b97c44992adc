"""Picture files that are damaged, enormous, of odd modes, oddly named, or no files at all."""

import functools
import io
import os
import socket

import numpy as np
from PIL import Image

from soak import bombs, commands
from soak.mutations import mutated
from soak.table import Finding
from soak.workers import Worker

MOST_MEBIBYTES = 1024
# formats as Pillow calls them, modes, and the suffix of formats that the documentation names
FORMATS = {
    "PNG": ("1 L LA P RGB RGBA I;16 I", ".png"),
    "JPEG": ("L RGB CMYK", ".jpg"),
    "WEBP": ("L RGB RGBA", ".webp"),
    "BMP": ("1 L P RGB", ".bmp"),
    "GIF": ("L P RGB", ".gif"),
    "TIFF": ("1 L LA P RGB RGBA CMYK LAB YCbCr F I I;16", None),
    "PPM": ("1 L RGB I", None),
    "TGA": ("L LA P RGB RGBA", None),
    "PCX": ("1 L P RGB", None),
    "ICO": ("RGBA", None),
    "SGI": ("L RGB RGBA", None),
    "DDS": ("RGB RGBA", None),
    "JPEG2000": ("L RGB RGBA", None),
    "EPS": ("L RGB", None),
    "PDF": ("RGB", None),
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
NAMES = (
    b"\xff\xfe.jpg", b"line\nbreak.png", b"$x^{$.png", b"$\\frac{1}$.jpg", b"-rf.png", b" .png", b"a" * 250 + b".png",
    "\u202egnp.png".encode(), "\N{CAT FACE}.jpg".encode(), b"%s%n{0}.gif", b"tab\tbell\a.bmp", b"\x1b[31m.webp", b"'\"`.png",
    b"*.png", b"[a].jpg", b"a,b;c.png", b"\xc3\x28\n$.jpeg",
)  # fmt: skip


@functools.cache
def corpus():
    """Intact pictures: [(what, bytes, suffix of a named format or None)], the same in every campaign."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (6, 8, 4)).astype("uint8"), np.ones((5, 5, 1), "uint8"))
    found = []
    for kind, (modes, suffix) in FORMATS.items():
        for mode in modes.split():
            image = Image.fromarray(pixels, "RGBA") if mode == "RGBA" else Image.fromarray(pixels[..., :3].copy())
            if mode in ("I;16", "I", "F"):
                numbers = pixels[..., 0].astype({"I;16": "uint16", "I": "int32", "F": "float32"}[mode])
                image = Image.fromarray(numbers * (1 if mode == "F" else 257))
            elif mode == "LAB":
                image = Image.frombytes("LAB", image.size, pixels[..., :3].tobytes())
            elif mode not in ("RGB", "RGBA"):
                image = image.convert(mode)
            written = io.BytesIO()
            options = {"progressive": True} if kind == "JPEG" and mode == "RGB" else {}
            try:
                image.save(written, kind, **options)
            except (OSError, ValueError, KeyError, SystemError):
                # this Pillow has no such writer
                continue
            found.append((f"{kind} {mode}", written.getvalue(), suffix))
    frames = [Image.fromarray(np.roll(pixels[..., :3], step, 1)) for step in range(3)]
    for kind, suffix in (("GIF", ".gif"), ("WEBP", ".webp"), ("PNG", ".png")):
        written = io.BytesIO()
        frames[0].save(written, kind, save_all=True, append_images=frames[1:])
        found.append((f"{kind} of 3 frames", written.getvalue(), suffix))
    return found


def _header_swapped(rng):
    """The beginning of one file before the rest of another."""
    (first, head, suffix), (second, tail, other) = (corpus()[int(rng.integers(len(corpus())))] for _ in range(2))
    length = int(rng.integers(2, 64))
    return head[:length] + tail[length:], f"{first} before {second}", suffix or other


def _odd_png(rng):
    """A PNG whose checksums are right and whose header is not."""
    width, height = (int(rng.choice([0, 1, 3, 4, 5, 40, 5000])) for _ in range(2))
    colour, depth = int(rng.integers(0, 8)), int(rng.choice([1, 2, 3, 4, 8, 16, 32]))
    data = bombs.compressed_zeros(int(rng.integers(0, 4 * 41 * 40)))
    interlace = int(rng.integers(0, 3))
    what = f"png {width}x{height} colour type {colour}, {depth} bits, interlace {interlace}"
    return bombs.png(width, height, colour, depth, data, interlace=interlace), what, ".png"


def _odd_file(path, rng):
    """Make what is no ordinary file at `path` (bytes): its description."""
    kind = str(rng.choice(["fifo", "socket", "loop", "dangling", "zero", "folder", "sparse", "empty", "forbidden"]))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        # the path that a socket is bound to is short
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{folder}/s")
        os.close(folder)
        os.rename(os.path.join(os.path.dirname(path), b"s"), path)
    elif kind in ("loop", "dangling", "zero"):
        os.symlink({"loop": path, "dangling": path + b".none", "zero": b"/dev/zero"}[kind], path)
    elif kind == "folder":
        os.mkdir(path)
    else:
        with open(path, "wb") as file:
            file.truncate(3 << 30 if kind == "sparse" else 0)
        os.chmod(path, 0 if kind == "forbidden" else 0o600)
    return kind


def damaged(index, rng):
    """The bytes, description and suffix of a damaged picture. Intact ones are among them; they begin with "intact"."""
    if index % 33 == 7:
        data, suffix, what = bombs.bomb(rng)
        return data, what, suffix
    kind = rng.random()
    if kind < 0.1:
        return _header_swapped(rng)
    if kind < 0.2:
        return _odd_png(rng)
    what, data, suffix = corpus()[int(rng.integers(len(corpus())))]
    if kind < 0.25:
        return data, f"intact {what}", suffix
    data, names = mutated(data, rng)
    return data, f"{what}: {names}", suffix


class Pictures:
    """The body of the kind of cases: damaged pictures, one in a long-lived process each."""

    def __init__(self):
        self.worker = None

    def __call__(self, campaign, index, rng, place):
        if self.worker is None:
            self.worker = Worker(campaign, "pictures", lasts=1000)
        name = NAMES[int(rng.integers(len(NAMES)))] if rng.random() < 0.2 else None
        how = str(rng.choice(["decode", "read", "find"], p=[0.4, 0.4, 0.2]))
        size, channels = int(rng.choice([16, 64, 256])), int(rng.choice([1, 3]))
        if index % 50 == 20:
            path = os.path.join(os.fsencode(place), name or b"odd.png")
            what, how, named = _odd_file(path, rng), str(rng.choice(["read", "find"])), None
        else:
            data, what, named = damaged(index, rng)
            path = os.path.join(os.fsencode(place), name or b"a" + (named or str(rng.choice(SUFFIXES))).encode())
            with open(path, "wb") as file:
                file.write(data)
        asked = os.fsdecode(os.path.dirname(path) if how == "find" else path)
        answer = self.worker.ask(function="picture", path=asked, size=size, channels=channels, how=how)
        wrong = answer.get("wrong", "")
        if not wrong and answer["mebibytes"] > MOST_MEBIBYTES:
            wrong = f"{answer['mebibytes']:.0f} MiB"
        if not wrong and what.startswith("intact") and named and not answer["answer"].startswith("1 "):
            wrong = answer["answer"]
        if campaign.ghostscript.exists():
            campaign.ghostscript.unlink()
            wrong = "started Ghostscript"
        case = f"{what}, {how}" + (f", named {name!r}" if name else "")
        return Finding(case, wrong, mebibytes=answer["mebibytes"], seconds=answer["seconds"])


def odd_folder(place, rng):
    """A folder of pictures with every odd name, a damaged one, and what is no file."""
    folder = place / "odd $folder$"
    folder.mkdir()
    good = [data for what, data, suffix in corpus() if suffix and what in ("PNG RGB", "JPEG RGB", "PNG RGBA", "JPEG L")]
    for index, name in enumerate((*NAMES, *(b"plain%d.png" % number for number in range(12)))):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            # bytes after the end make every file another
            file.write(good[index % len(good)] + bytes([index]) * 3)
    (folder / "damaged.png").write_bytes(mutated(good[0], rng)[0][:100])
    os.mkfifo(folder / "fifo.png")
    os.symlink("loop.png", folder / "loop.png")
    return folder


def on_an_odd_folder(campaign, index, rng, place):
    """A command on pictures with odd names, of which one is damaged: it does its work, and leaves the damaged one out."""
    folder = odd_folder(place, rng)
    out = place / "out $1$"
    verb, suffix = [("score", ".csv"), ("embed", ""), ("reconstruct", ".png")][index % 3]
    words = [verb, "--model", campaign.exports / "plain", "--data", folder, "--out", f"{out}{suffix}"]
    outcome = commands.run(campaign, words, place)
    wrong = outcome.wrong(place, statuses=(0,)) or ("" if os.path.exists(f"{out}{suffix}") else "no output")
    return Finding(" ".join(map(str, words[:3])), wrong, mebibytes=outcome.mebibytes, seconds=outcome.seconds)
