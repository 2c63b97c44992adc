"""Many clients at once against the service: requests a second, seconds until answers, and what hostile requests get.

python serving/clients.py http://localhost:8000 --clients 64 --each 10
"""

import argparse
import asyncio
import collections
import io
import time

import httpx2
import numpy as np
from PIL import Image

PICTURE = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), "uint8")).save(PICTURE, "jpeg")
# a PNG header that promises 60,000 x 60,000 pixels
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0" + b"\0" * 64
GOOD = {
    "generate 1": ("GET", "/generate?n=1&seed={turn}", None),
    "generate 16": ("GET", "/generate?n=16&seed={turn}", None),
    "encode": ("POST", "/encode", PICTURE.getvalue()),
}
HOSTILE = {
    "10^9 pictures": ("GET", "/generate?n=1000000000", None),
    "temperature nan": ("GET", "/generate?temperature=nan", None),
    "no picture": ("POST", "/encode", b"<script>"),
    "a cut picture": ("POST", "/encode", PICTURE.getvalue()[:500]),
    "3.6 * 10^9 pixels": ("POST", "/encode", BOMB),
    "9 MB": ("POST", "/encode", b"\0" * (9 * 2**20)),
    "codes of text": ("POST", "/decode", b'{"codes": [["a"]]}'),
    "an infinite code": ("POST", "/decode", b'{"codes": [[1e999]]}'),
}


async def run(url, clients, each):
    """Send `each` rounds of all good requests from so many clients, and the hostile ones beside them."""
    seconds = collections.defaultdict(list)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=httpx2.Limits(max_connections=None)) as client:

        async def send(name, turn, method, path, body):
            begin = time.perf_counter()
            answer = await client.request(method, path.format(turn=turn), content=body)
            seconds[name, answer.status_code].append(time.perf_counter() - begin)

        async def visit(number):
            for turn in range(each):
                for name, request in GOOD.items():
                    await send(name, number * each + turn, *request)
                if turn == 0:
                    for name, request in HOSTILE.items():
                        await send(name, 0, *request)

        begin = time.perf_counter()
        await asyncio.gather(*map(visit, range(clients)))
        whole = time.perf_counter() - begin
    print(f"{sum(map(len, seconds.values()))} requests of {clients} clients in {whole:.1f} s")
    print(f"{'request':20} {'status':>6} {'n':>6} {'median, s':>10} {'95 %, s':>8}")
    for (name, status), times in seconds.items():
        print(f"{name:20} {status:6} {len(times):6} {np.median(times):10.3f} {np.percentile(times, 95):8.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--each", type=int, default=10)
    options = parser.parse_args()
    asyncio.run(run(options.url, options.clients, options.each))
