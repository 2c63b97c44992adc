"""Picture files that are small, and would take gigabytes if they were decoded as they say; written by hand, in no memory."""

import struct
import zlib

# channels of PNG colour types
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PIXELS = 199_000_000


def compressed_zeros(count):
    """zlib data of so many zero bytes."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    pieces = [packer.compress(block[: min(len(block), count - first)]) for first in range(0, count, len(block))]
    return b"".join(pieces) + packer.flush()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, colour=2, depth=8, data=None, more=b"", interlace=0):
    """A PNG of zeros. colour: the colour type. data: other contents than enough zeros. more: chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(9)) if colour == 3 else b""
    if data is None:
        data = compressed_zeros(height * (1 + (width * PNG_CHANNELS.get(colour, 1) * depth + 7) // 8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(width, height, progressive=True, components=3):
    """A grey JPEG: one bit for each block. Progressive ones are held as coefficients, whole."""
    tables = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    parts = b"".join(bytes([index + 1, 0x11, 0]) for index in range(components))
    frame = struct.pack(">BHHB", 8, height, width, components) + parts
    tables += b"\xff" + (b"\xc2" if progressive else b"\xc0") + struct.pack(">H", 2 + len(frame)) + frame
    # one code of one bit, for no bits (DC) and for the end of a block (AC)
    for kind in (0x00, 0x10):
        tables += b"\xff\xc4" + struct.pack(">H", 20) + bytes([kind, 1] + [0] * 15 + [0])
    selected = b"".join(bytes([index + 1, 0x00]) for index in range(components))
    scan = bytes([components]) + selected + bytes([0, 0 if progressive else 63, 0])
    blocks = components * -(-width // 8) * -(-height // 8) * (1 if progressive else 2)
    scan = b"\xff\xda" + struct.pack(">H", 2 + len(scan)) + scan + bytes(blocks // 8 + 1)
    return b"\xff\xd8" + tables + scan + b"\xff\xd9"


def webp(width, height, alpha=True):
    """A lossless WebP of one colour: its pixels take no bits."""
    bits, place = 0, 0
    # signature, sizes, alpha, version, no transform, no colour cache, one group of five codes of one symbol each
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (int(alpha), 1), (0, 3), (0, 1), (0, 1), (0, 1), *[(1, 4)] * 5]
    for value, length in fields:
        bits |= value << place
        place += length
    data = bits.to_bytes(place // 8 + 2, "little")
    data += b"\0" * (len(data) % 2)
    riff = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def bmp(width, height, rle=True, depth=8):
    """A BMP whose runs end at once, or whose pixels are missing."""
    palette = bytes(1024) if depth == 8 else b""
    offset = 54 + len(palette)
    data = b"\x00\x01" if rle else bytes(1000)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, int(rle), len(data), 0, 0, 256 if palette else 0, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + palette + data


def gif(width, height, transparent=True):
    """A GIF of zeros: the codes of LZW for runs that grow by one."""
    bits, place, out = 0, 0, bytearray()

    def write(code, width_of):
        nonlocal bits, place
        bits |= code << place
        place += width_of
        while place >= 8:
            out.append(bits & 255)
            bits >>= 8
            place -= 8

    left = width * height
    write(256, 9)
    while left > 0:
        code, run, length = 0, 1, 9
        while left > 0 and code < 4094:
            write(code, length)
            left -= run
            code = 258 if code == 0 else code + 1
            run += 1
            # the decoder's table is one entry behind
            length = max(9, min(12, code.bit_length()))
        write(256, length)
    write(257, 9)
    write(0, 8)
    blocks = b"".join(bytes([len(out[i : i + 255])]) + bytes(out[i : i + 255]) for i in range(0, len(out), 255)) + b"\0"
    control = b"\x21\xf9\x04" + bytes([1 if transparent else 0, 0, 0, 0, 0])
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + bytes(768)
    return screen + control + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08" + blocks + b"\x3b"


def tiff(width, height, bits=32, sample_format=3, samples=1):
    """A deflated TIFF of zeros: floats (3), signed (2) or unsigned (1) numbers."""
    data = compressed_zeros(width * height * samples * bits // 8)
    tags = {256: width, 257: height, 258: bits, 259: 8, 262: 1, 273: 8, 277: samples, 278: height, 279: len(data)}
    tags[339] = sample_format
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def bomb(rng):
    """One of many bombs, between a tenth of PIXELS and twice as many: its bytes, suffix and name."""
    pixels = PIXELS * float(rng.choice([0.1, 0.3, 0.99, 1.0, 2.0]))
    shape = float(rng.choice([1, 1, 1, 3, 0.2]))
    width, height = int((pixels * shape) ** 0.5), int((pixels / shape) ** 0.5)
    name = str(rng.choice(["png", "png", "png", "jpeg", "webp", "bmp", "gif", "tiff", "text", "claim"]))
    if name == "png":
        colour, depth = [(0, 1), (0, 16), (2, 8), (2, 16), (3, 8), (4, 8), (6, 8)][int(rng.integers(7))]
        return png(width, height, colour, depth), ".png", f"png {width}x{height} colour type {colour}, {depth} bits"
    if name == "text":
        more = chunk(b"zTXt", b"Comment\0\0" + compressed_zeros(int(pixels)))
        return png(20, 20, more=more), ".png", f"png 20x20 with a text of {int(pixels)} characters"
    if name == "claim":
        size = int(rng.choice([2**16, 2**20, 2**31 - 1]))
        return png(size, size, data=compressed_zeros(1000)), ".png", f"png that claims {size}x{size}"
    limit = {"jpeg": 65500, "webp": 16383, "gif": 65535}.get(name, 10**9)
    width, height = min(width, limit), min(height, limit)
    flag = bool(rng.random() < 0.7)
    make = {"jpeg": jpeg, "webp": webp, "bmp": bmp, "gif": gif}.get(name)
    data = make(width, height, flag) if make else tiff(width, height, sample_format=int(rng.integers(1, 4)))
    suffix = {"jpeg": ".jpg", "tiff": str(rng.choice([".jpg", ".png"]))}.get(name, f".{name}")
    return data, suffix, f"{name} {width}x{height} {flag}"
