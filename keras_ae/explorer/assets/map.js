// A plane of codes to wander in: between four pictures, or the codes themselves where they have two numbers.

import { element, mixed, moment, paint, settled, tiled } from "./drawing.js";

const SIDE = 7;
// the plane of codes of two numbers reaches so many deviations from their mean
const REACH = 2.5;

export function map(state) {
  const { model } = state;
  const plane = model.latentDim === 2;
  const [tiles, marker] = [element("tiles"), element("marker")];
  let corners = null;
  let place = [0, 0];
  element("map-hint").textContent =
    `${plane ? "Every code of this model has two numbers: this is all of them." : `Four ${model.noun}s, and what lies between them.`} ` +
    "Point anywhere, or use the arrow keys.";
  element("corners").hidden = plane;
  tiles.setAttribute("aria-label", plane ? "Map of the codes" : "Map between four pictures");

  const codeAt = (across, down) => {
    if (plane) {
      return Float32Array.of(...[2 * across - 1, 1 - 2 * down].map((x, axis) => model.middle[axis] + x * REACH * model.spread[axis]));
    }
    const weights = [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down];
    return mixed(corners, weights, model.middle);
  };

  const fill = settled(async (stale) => {
    tiled(tiles, model.shape, SIDE, SIDE);
    const [height, width] = model.shape;
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        if (stale()) return;
        // a tile of the plane stands for its middle; the outer ones of four pictures are these pictures
        const at = (index) => (plane ? (index + 0.5) / SIDE : index / (SIDE - 1));
        paint(tiles, model.decode(codeAt(at(column), at(row)), state.label), model.shape, column * width, row * height);
        await moment();
      }
    }
  }, 0);

  const draw = () => {
    const first = state.z;
    const others = [1, 2, 3].map(() => model.draw(Math.floor(Math.random() * 2 ** 31), 0, state.temperature, state.label));
    corners = [first, ...others];
    go(0, 0);
    fill();
  };
  const go = (across, down) => {
    place = [across, down].map((value) => Math.min(Math.max(value, 0), 1));
    // the middle of the first tile is one corner, that of the last the other
    const shown = place.map((value) => (plane ? value : (value * (SIDE - 1) + 0.5) / SIDE));
    [marker.style.left, marker.style.top] = shown.map((value) => `${100 * value}%`);
  };
  const wander = (across, down) => {
    go(across, down);
    state.show(codeAt(...place));
  };
  const point = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = tiles.getBoundingClientRect();
    const found = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    wander(...(plane ? found : found.map((value) => (value * SIDE - 0.5) / (SIDE - 1))));
  };
  tiles.onpointerdown = (event) => {
    tiles.setPointerCapture(event.pointerId);
    point(event);
  };
  tiles.onpointermove = point;
  tiles.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    wander(...place.map((value, axis) => value + step[axis] / 24));
  };
  element("corners").onclick = draw;
  let label = null;
  // called when the panel opens, and when the class changes
  return () => {
    if (!corners) draw();
    else if (label !== state.label) fill();
    label = state.label;
  };
}
