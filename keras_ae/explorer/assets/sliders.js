// Sliders along directions of the codes, with a small picture of each end.

import { element, moment, paint, settled } from "./drawing.js";

const REACH = 3;

export function sliders(state) {
  const { model } = state;
  const rows = model.directions.map(({ name, ends }, index) => {
    const row = document.createElement("div");
    row.className = "slider";
    row.innerHTML = `<button><canvas></canvas></button>
      <label><span><b></b><output>0.0</output></span><input type="range" min="${-REACH}" max="${REACH}" step="0.1" value="0"></label>
      <button><canvas></canvas></button>`;
    row.querySelector("b").textContent = name;
    const [low, high] = row.querySelectorAll("button");
    [low, high].forEach((button, side) => {
      button.setAttribute("aria-label", `${name}: ${ends[side]}`);
      button.title = ends[side];
      button.onclick = () => state.move(index, side ? REACH : -REACH);
    });
    const input = row.querySelector("input");
    input.oninput = () => state.move(index, Number(input.value));
    element("sliders").append(row);
    return { input, output: row.querySelector("output"), canvases: row.querySelectorAll("canvas") };
  });
  const previews = settled(async (stale) => {
    for (const [index, { canvases }] of rows.entries()) {
      for (const [side, canvas] of canvases.entries()) {
        if (stale() || element("change").hidden) return;
        const shift = (side ? REACH : -REACH) - state.moves[index];
        const z = state.z.map((value, place) => value + shift * model.ways[index][place]);
        paint(canvas, model.decode(z, state.label), model.shape);
        await moment();
      }
    }
  });
  return () => {
    rows.forEach(({ input, output }, index) => {
      input.value = state.moves[index];
      output.textContent = state.moves[index].toFixed(1);
    });
    previews();
  };
}
