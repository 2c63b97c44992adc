// Arithmetic on codes: A - B + C, with pictures dragged or chosen into cells.

import { element, moment, paint, settled } from "./drawing.js";

const SHELF = 12;

export function mix(state) {
  const { model } = state;
  const shelf = [];
  const cells = { A: null, B: null, C: null };
  const buttons = {};
  let chosen = null;

  const choose = (index) => {
    chosen = chosen === index ? null : index;
    [...element("shelf").children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === chosen)));
  };
  const distance = (z) => Math.hypot(...z.map((value, index) => value - model.middle[index]));
  // no farther from the middle of all codes than the farthest of the three: there, pictures fall apart
  const sum = () => {
    const z = cells.A.map((value, index) => value - cells.B[index] + cells.C[index]);
    const share = Math.min(1, Math.max(...Object.values(cells).map(distance)) / Math.max(distance(z), 1e-9));
    return z.map((value, index) => model.middle[index] + share * (value - model.middle[index]));
  };
  const result = () => paint(buttons.result.querySelector("canvas"), model.decode(sum(), state.label), model.shape);
  const put = (name, z) => {
    cells[name] = z;
    paint(buttons[name].querySelector("canvas"), model.decode(z, state.label), model.shape);
    if (Object.values(cells).every(Boolean)) result();
  };
  const add = (z) => {
    const index = shelf.length;
    shelf.push(z);
    const button = document.createElement("button");
    button.draggable = true;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Picture ${index + 1}`);
    button.append(document.createElement("canvas"));
    button.onclick = () => choose(index);
    button.ondragstart = (event) => event.dataTransfer.setData("text/plain", String(index));
    element("shelf").append(button);
    paint(button.firstChild, model.decode(z, state.label), model.shape);
  };
  const cell = (name, text) => {
    const button = document.createElement("button");
    button.className = "cell";
    button.setAttribute("aria-label", text);
    button.append(document.createElement("canvas"));
    if (name !== "result") button.insertAdjacentHTML("beforeend", `<b>${name}</b>`);
    buttons[name] = button;
    return button;
  };
  for (const [name, sign] of [["A", ""], ["B", "−"], ["C", "+"]]) {
    const button = cell(name, `Cell ${name}`);
    button.onclick = () => put(name, chosen === null ? state.z : shelf[chosen]);
    button.ondragover = (event) => { event.preventDefault(); button.classList.add("over"); };
    button.ondragleave = () => button.classList.remove("over");
    button.ondrop = (event) => {
      event.preventDefault();
      button.classList.remove("over");
      const z = shelf[Number(event.dataTransfer.getData("text/plain"))];
      if (z) put(name, z);
    };
    element("sum").append(...(sign ? [sign] : []), button);
  }
  element("sum").append("=", cell("result", "The result: show it"));
  buttons.result.onclick = () => state.show(sum());

  const fill = settled(async (stale) => {
    shelf.length = 0;
    element("shelf").replaceChildren();
    const seed = Math.floor(Math.random() * 2 ** 31);
    for (let number = 0; number < SHELF; number++) {
      if (stale()) return;
      add(model.draw(seed, number, state.temperature, state.label));
      await moment();
    }
    Object.keys(cells).forEach((name, index) => put(name, shelf[index]));
    choose(null);
  }, 0);
  element("refill").onclick = fill;
  element("keep").onclick = () => add(state.z);
  let label = null;
  return () => {
    if (label !== state.label) fill();
    label = state.label;
  };
}
