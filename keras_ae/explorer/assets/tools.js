// What can be done with a picture: sliders, a map, a morph, sums, and pictures of one's own.
// Each tool is a function of the page's state; what it returns draws the tool again, for another class say.

export const element = (id) => document.getElementById(id);

// Paint a picture, floats in [-1, 1] of the shape (height, width, channels): its first three bands, or the first of two.
export function paint(canvas, picture, [height, width, channels], left = 0, top = 0) {
  const bytes = new Uint8ClampedArray(4 * height * width).fill(255);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      bytes[4 * pixel + channel] = 127.5 * (picture[channels * pixel + (channels < 3 ? 0 : channel)] + 1);
    }
  }
  canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), left, top);
}

// A function that runs `work`, and again if it is called meanwhile; `work` should end early where `stale()` is true.
export function latest(work) {
  let [calls, running] = [0, null];
  const run = async () => {
    for (let turn = 0; turn !== calls; ) {
      turn = calls;
      await work(() => turn !== calls);
    }
  };
  return () => {
    calls += 1;
    running ??= run().finally(() => { running = null; });
    return running;
  };
}

// Decode and paint codes one after the other; between two of them, the page answers. jobs: [canvas, z, left, top]
async function paintCodes(state, jobs, stale = () => false) {
  for (const [canvas, z, left, top] of jobs) {
    if (stale()) return;
    paint(canvas, await state.model.decode(z, state.label), state.model.shape, left, top);
    await new Promise((resolve) => { setTimeout(resolve); });
  }
}

const another = (state) => state.model.draw(Math.floor(Math.random() * 2 ** 31), 0, state.temperature, state.label);

// The mean of codes with these weights, as far from the mean of all codes as they are: without it, mixtures of several
// pictures look alike.
function mix(codes, weights, mean) {
  const length = Math.hypot(...weights);
  return mean.map((middle, at) => middle + codes.reduce((sum, z, one) => sum + weights[one] * (z[at] - middle), 0) / length);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Call `move(across, down)` with the steps of arrow keys.
function onArrows(canvas, move) {
  canvas.onkeydown = (event) => {
    if (!ARROWS[event.key]) return;
    event.preventDefault();
    move(...ARROWS[event.key]);
  };
}

// Sliders along directions of the codes, with a small picture of each end.
export function sliders(state) {
  const { model } = state;
  const reach = 3; // standard deviations
  const rows = model.directions.map(({ name, ends }, index) => {
    const row = element("slider").content.firstElementChild.cloneNode(true);
    const [input, output, canvases] = [row.querySelector("input"), row.querySelector("output"), [...row.querySelectorAll("canvas")]];
    row.querySelector("b").textContent = name;
    canvases.forEach(({ parentElement: button }, side) => {
      button.setAttribute("aria-label", `${name}: ${ends[side]}`);
      button.title = ends[side];
      button.onclick = () => state.move(index, side ? reach : -reach);
    });
    input.oninput = () => state.move(index, Number(input.value));
    element("sliders").append(row);
    return { input, output, canvases };
  });
  const previews = latest((stale) => {
    const end = (index, side) => {
      const shift = (side ? reach : -reach) - state.moves[index];
      return state.z.map((value, at) => value + shift * model.directions[index].step[at]);
    };
    return paintCodes(state, rows.flatMap(({ canvases }, index) => canvases.map((canvas, side) => [canvas, end(index, side)])), stale);
  });
  return () => {
    rows.forEach(({ input, output }, index) => {
      input.value = state.moves[index];
      output.textContent = state.moves[index].toFixed(1);
    });
    if (!element("change").hidden) previews();
  };
}

// A plane of codes: between four pictures, or all codes where they have two numbers.
export function map(state) {
  const { model } = state;
  const isPlane = model.latentDim === 2;
  const [tiles, marker, side] = [element("tiles"), element("marker"), 7];
  let [corners, place] = [null, [0, 0]];
  if (isPlane) element("map-hint").textContent = "Every code of this model has two numbers: this is all of them. Point anywhere.";
  element("corners").hidden = isPlane;

  const codeAt = (across, down) => {
    // the plane reaches 2.5 standard deviations from the mean
    if (isPlane) return model.mean.map((mean, axis) => mean + 2.5 * [2 * across - 1, 1 - 2 * down][axis] * model.deviation[axis]);
    return mix(corners, [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down], model.mean);
  };
  const fill = latest((stale) => {
    // a tile of the plane stands for its middle; the outer ones of four pictures are these pictures
    const share = (index) => (isPlane ? (index + 0.5) / side : index / (side - 1));
    const jobs = Array.from({ length: side * side }, (_, tile) => {
      const [row, column] = [Math.floor(tile / side), tile % side];
      return [tiles, codeAt(share(column), share(row)), column * model.shape[1], row * model.shape[0]];
    });
    return paintCodes(state, jobs, stale);
  });
  const mark = (across, down) => {
    place = [across, down].map((value) => Math.min(Math.max(value, 0), 1));
    const shown = place.map((value) => (isPlane ? value : (value * (side - 1) + 0.5) / side));
    [marker.style.left, marker.style.top] = shown.map((value) => `${100 * value}%`);
  };
  const wander = (across, down) => {
    mark(across, down);
    state.show(codeAt(...place));
  };
  const newCorners = async () => {
    corners = [state.z, await another(state), await another(state), await another(state)];
    mark(0, 0);
    fill();
  };
  tiles.onpointermove = tiles.onpointerdown = (event) => {
    if (!corners && !isPlane) return;
    if (event.type === "pointerdown") tiles.setPointerCapture(event.pointerId);
    else if (!event.buttons) return;
    const box = tiles.getBoundingClientRect();
    const found = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    wander(...(isPlane ? found : found.map((value) => (value * side - 0.5) / (side - 1))));
  };
  onArrows(tiles, (across, down) => wander(place[0] + across / 24, place[1] + down / 24));
  element("corners").onclick = newCorners;
  return () => (corners || isPlane ? fill() : newCorners());
}

// Between two pictures: a position, an animation, and a strip of seven steps.
export function morph(state) {
  const { model } = state;
  const [between, play, film] = [element("between"), element("play"), element("film")];
  let ends = null;
  let begun = 0;
  const at = (share) => mix(ends, [1 - share, share], model.mean);
  const fill = latest((stale) => {
    const steps = Array.from({ length: 7 }, (_, step) => [film, at(step / 6), step * model.shape[1], 0]);
    return paintCodes(state, [[element("first"), ends[0]], [element("second"), ends[1]], ...steps], stale);
  });
  const set = (index, z) => {
    ends[index] = z;
    fill();
  };
  const go = (share) => {
    between.value = share;
    state.show(at(share));
  };
  const animate = (on) => {
    // from where the position is; one way takes 2.5 seconds
    begun = on ? performance.now() - between.value * 2500 : 0;
    play.textContent = on ? "Stop" : "Play";
    play.setAttribute("aria-pressed", String(on));
    if (on) requestAnimationFrame(tick);
  };
  const tick = (now) => {
    if (!begun) return;
    if (element("morph").hidden) return animate(false);
    const turn = ((now - begun) / 2500) % 2;
    go(Math.max(0, Math.min(turn, 2 - turn)));
    requestAnimationFrame(tick);
  };
  play.onclick = () => animate(!begun);
  between.oninput = () => {
    animate(false);
    go(Number(between.value));
  };
  element("set-first").onclick = () => { set(0, state.z); between.value = 0; };
  element("set-second").onclick = () => { set(1, state.z); between.value = 1; };
  element("new-second").onclick = async () => set(1, await another(state));
  return async () => {
    ends ??= [state.z, await another(state)];
    fill();
  };
}

// A - B + C, with pictures from a shelf: choose one, then a cell.
export function sum(state) {
  const { model } = state;
  const [shelf, codes] = [element("shelf"), []];
  const cells = Object.fromEntries([...element("sum").querySelectorAll("button")].map((button) => [button.dataset.cell, button]));
  const given = {};
  let chosen = null;

  const choose = (index) => {
    chosen = chosen === index ? null : index;
    [...shelf.children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === chosen)));
  };
  const distance = (z) => Math.hypot(...z.map((value, at) => value - model.mean[at]));
  // no farther from the mean of all codes than the farthest of the three: there, pictures fall apart
  const result = () => {
    const z = given.A.map((value, at) => value - given.B[at] + given.C[at]);
    const share = Math.min(1, Math.max(...Object.values(given).map(distance)) / Math.max(distance(z), 1e-9));
    return z.map((value, at) => model.mean[at] + share * (value - model.mean[at]));
  };
  const fill = latest((stale) => {
    const pictures = ["A", "B", "C"].map((name) => [cells[name].firstElementChild, given[name]]);
    return paintCodes(state, [...pictures, [cells.result.firstElementChild, result()]], stale);
  });
  const add = (z) => {
    const [button, canvas] = [document.createElement("button"), document.createElement("canvas")];
    const index = codes.push(z) - 1;
    [canvas.height, canvas.width] = model.shape;
    button.append(canvas);
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Picture ${index + 1}`);
    button.onclick = () => choose(index);
    shelf.append(button);
    return paintCodes(state, [[canvas, z]]);
  };
  for (const name of ["A", "B", "C"]) {
    cells[name].onclick = () => {
      given[name] = chosen === null ? state.z : codes[chosen];
      fill();
    };
  }
  cells.result.onclick = () => state.show(result());
  const refill = latest(async (stale) => {
    codes.length = 0;
    shelf.replaceChildren();
    while (codes.length < 12 && !stale()) await add(await another(state));
    ["A", "B", "C"].forEach((name, index) => { given[name] = codes[index]; });
    chosen = null;
    await fill();
  });
  element("refill").onclick = refill;
  return refill;
}

// A picture of the visitor's: cut, made smaller, encoded, decoded.
export function photo(state, open, say) {
  const { model } = state;
  const [seen, zoom] = [element("seen"), element("zoom")];
  // part: width and height of what is encoded; middle: of it, as shares of the picture's width and height
  let [image, part, middle, z] = [null, null, null, null];

  const encode = latest(async () => {
    const lengths = [image.width, image.height];
    const [height, width] = model.inputShape;
    const scale = Math.min(image.width / width, image.height / height);
    // the model's resize pads or stretches the rest
    const whole = model.fit === "crop" ? [scale * width, scale * height] : lengths;
    part = whole.map((length) => Math.max(1, Math.round(length / Number(zoom.value))));
    // large pictures are first made smaller by the browser
    const share = Math.min(1, 1024 / Math.max(...part));
    const [across, down] = part.map((length) => Math.max(1, Math.round(share * length)));
    const margins = part.map((length, axis) => length / 2 / lengths[axis]);
    middle = middle.map((place, axis) => Math.min(Math.max(place, margins[axis]), 1 - margins[axis]));
    const corner = middle.map((place, axis) => Math.floor(place * lengths[axis] - part[axis] / 2 + 1e-6));
    const context = new OffscreenCanvas(across, down).getContext("2d", { willReadFrequently: true });
    // transparent pictures lie on black
    context.fillRect(0, 0, across, down);
    context.drawImage(image, ...corner, ...part, 0, 0, across, down);
    const picture = await model.resize(context.getImageData(0, 0, across, down).data, down, across);
    paint(seen, picture, model.inputShape);
    z = await model.encode(picture, state.label);
    await paintCodes(state, [[element("rebuilt"), z]]);
    state.show(z);
  });
  const take = async (file) => {
    try {
      image = await createImageBitmap(file);
    } catch {
      return say(`${file.name || "This"} is not a picture that the browser can open.`);
    }
    [middle, zoom.value] = [[0.5, 0.5], 1];
    zoom.disabled = element("again").disabled = false;
    open("photo");
    await encode();
    say(`Rebuilt from ${model.latentDim} numbers. Change it with the sliders, morph it, or use it in a sum.`);
  };
  // across and down: shares of the part that is shown
  const shift = (across, down) => {
    if (!part) return;
    middle = [middle[0] + (across * part[0]) / image.width, middle[1] + (down * part[1]) / image.height];
    encode();
  };
  zoom.oninput = encode;
  seen.onpointerdown = (event) => seen.setPointerCapture(event.pointerId);
  seen.onpointermove = (event) => {
    if (event.buttons) shift(-event.movementX / seen.clientWidth, -event.movementY / seen.clientHeight);
  };
  onArrows(seen, (across, down) => shift(across / 20, down / 20));
  element("file").onchange = ({ target }) => { if (target.files[0]) take(target.files[0]); };
  element("again").onclick = () => state.show(z);
  return () => {};
}
