"""An HTTP service for an export: new pictures, codes of pictures, pictures of codes.

    pip install keras_ae -r serving/requirements.txt
    EXPORT=exported/cats uvicorn app:app --app-dir serving

Rows of requests that arrive while others are computed are computed together. `/docs` describes the calls.
"""

import asyncio
import contextlib
import io
import os
from typing import Annotated

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from keras_ae import load
from keras_ae.errors import UserError
from keras_ae.images import pictures

# rows that are computed at once, requests that wait for one kind of work, seconds until a request gives up, bytes of a body
ROWS, WAITING, SECONDS, BYTES = 64, 256, 10, 8 * 2**20
model = load(os.environ.get("EXPORT", "exported/cats"), runtime="auto")


class Batches:
    """Computes the rows of requests that wait at the same time with one call of `compute`, (n, ...) to (n, ...)."""

    def __init__(self, compute, most=ROWS):
        self.compute, self.most, self.waiting = compute, most, asyncio.Queue(WAITING)

    async def __call__(self, rows):
        """What `compute` makes of these rows. Raises HTTPException 503 where too many wait, or the time is up."""
        result = asyncio.get_running_loop().create_future()
        try:
            self.waiting.put_nowait((rows, result))
            async with asyncio.timeout(SECONDS):
                return await result
        except (asyncio.QueueFull, TimeoutError):
            raise HTTPException(503, "too many requests wait; try again in a second", {"Retry-After": "1"}) from None

    async def run(self):
        """Compute until cancelled."""
        while True:
            taken = [await self.waiting.get()]
            while sum(len(rows) for rows, _ in taken) < self.most and not self.waiting.empty():
                taken.append(self.waiting.get_nowait())
            # of requests that gave up, nobody reads the result
            taken = [(rows, result) for rows, result in taken if not result.done()]
            try:
                made = await asyncio.to_thread(self.compute, [row for rows, _ in taken for row in rows])
                for rows, result in taken:
                    if not result.done():
                        result.set_result(made[: len(rows)])
                    made = made[len(rows) :]
            except Exception as error:
                for _, result in taken:
                    if not result.done():
                        result.set_exception(error)


def generate(requests):
    """Pictures, uint8 (n, H, W, C) each, of requests (n, seed, temperature)."""
    return [model.generate(*request)[0] for request in requests]


# a request for new pictures is one row of one call
encode = Batches(lambda images: model.encode(np.stack(images)))
decode = Batches(lambda codes: pictures.to_uint8(model.decode(np.stack(codes))))
draw = Batches(generate, 1)


@contextlib.asynccontextmanager
async def lifespan(app):
    """Computes in the background while the service runs."""
    tasks = [asyncio.create_task(batches.run()) for batches in (encode, decode, draw)]
    yield
    for task in tasks:
        task.cancel()


app = FastAPI(title=f"keras_ae: {model.card['experiment']}", lifespan=lifespan)


@app.exception_handler(UserError)
async def refuse(request, error):
    """A mistake of the caller, in one line."""
    return JSONResponse({"detail": str(error)}, 400)


def png(images):
    """The response of uint8 images (n, H, W, C), in a grid."""
    file = io.BytesIO()
    pictures.to_pillow(pictures.grid(images, 8)).save(file, "png")
    return Response(file.getvalue(), media_type="image/png")


async def read_picture(request):
    """The body of a request, a picture file of any size, as uint8 (1, H, W, C)."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BYTES:
            raise HTTPException(413, f"a picture has at most {BYTES >> 20} MB")
    try:
        return (await asyncio.to_thread(pictures.decode, bytes(body), model.input_shape, model.white, model.fit))[None]
    except pictures.DamagedPicture as error:
        raise HTTPException(422, f"the body is not a picture that can be used: {error}") from None


Code = Annotated[list[float], Field(min_length=model.latent_dim, max_length=model.latent_dim)]


class Codes(BaseModel):
    """Codes (n, latent_dim)."""

    codes: Annotated[list[Code], Field(min_length=1, max_length=ROWS)]


@app.get("/generate", response_class=Response)
async def new_pictures(
    n: Annotated[int, Query(ge=1, le=ROWS)] = 16,
    seed: Annotated[int, Query(ge=-(2**31), lt=2**31)] = 0,
    temperature: Annotated[float, Query(ge=0, le=10)] = 1.0,
):
    """n new pictures, as one PNG."""
    return png((await draw([(n, seed, temperature)]))[0])


@app.post("/encode")
async def codes_of_a_picture(request: Request) -> Codes:
    """The code of the picture file in the body."""
    return Codes(codes=(await encode(await read_picture(request))).tolist())


@app.post("/decode", response_class=Response)
async def pictures_of_codes(given: Codes):
    """The pictures of codes, as one PNG."""
    return png(await decode(np.array(given.codes)))
