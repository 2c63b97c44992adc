// The page: what it shows, as a state that a link can hold, and the controls that change it.

import { Model } from "./model.js";
import { element, latest, map, morph, paint, photo, sliders, sum } from "./tools.js";

class State extends EventTarget {
  #turn = 0;

  constructor(model) {
    super();
    Object.assign(this, { model, seed: 0, number: 0, temperature: 1, label: 0, drawn: true, base: null });
    this.moves = model.directions.map(() => 0);
  }

  // The code that is shown: `base` moved along the directions.
  get z() {
    const z = Float32Array.from(this.base);
    this.moves.forEach((move, index) => {
      if (move) this.model.directions[index].step.forEach((step, at) => { z[at] += move * step; });
    });
    return z;
  }

  // Change seed, number, temperature or label; a code that is no drawn one stays.
  async set(values) {
    Object.assign(this, values);
    element("picture").ariaBusy = "true";
    const turn = ++this.#turn;
    const base = this.drawn ? await this.model.draw(this.seed, this.number, this.temperature, this.label) : this.base;
    if (turn !== this.#turn) return;
    this.base = base;
    this.dispatchEvent(new Event("change"));
  }

  // A picture of a seed's sequence, without moves.
  draw(values = {}) {
    this.moves.fill(0);
    return this.set({ drawn: true, ...values });
  }

  // A code from elsewhere, such as a photo's.
  show(base) {
    this.moves.fill(0);
    return this.set({ base, drawn: false });
  }

  move(index, amount) {
    this.moves[index] = amount;
    element("picture").ariaBusy = "true";
    this.dispatchEvent(new Event("change"));
  }

  // The state as the part of an address after "#".
  get link() {
    const numbers = (values, digits) => Array.from(values, (value) => +value.toFixed(digits)).join("_");
    const link = new URLSearchParams(this.drawn ? { seed: this.seed, picture: this.number } : { code: numbers(this.base, 3) });
    if (this.drawn && this.temperature !== 1) link.set("temperature", this.temperature);
    if (this.model.labels.length) link.set("label", this.label);
    if (this.moves.some(Boolean)) link.set("moves", numbers(this.moves, 2));
    return link.toString();
  }

  // Take the state of a link. Throws RangeError where it does not fit this model.
  follow(link) {
    const given = new URLSearchParams(link);
    const numbers = (name, fallback, count, low, high) => {
      const values = (given.get(name) ?? fallback).split("_").filter(Boolean).map(Number);
      if (values.length !== count || !values.every((value) => value >= low && value <= high)) throw new RangeError(name);
      return values;
    };
    const whole = (name, most) => Math.floor(numbers(name, "0", 1, 0, most)[0]);
    const values = {
      seed: whole("seed", 2 ** 31 - 1),
      number: whole("picture", 1e9),
      temperature: numbers("temperature", "1", 1, 0, 1.5)[0],
      label: whole("label", Math.max(this.model.labels.length - 1, 0)),
      drawn: !given.has("code"),
    };
    if (!values.drawn) values.base = Float32Array.from(numbers("code", "", this.model.latentDim, -1000, 1000));
    const { length } = this.moves;
    this.moves = numbers("moves", Array(length).fill(0).join("_"), length, -10, 10);
    return this.set(values);
  }
}

async function connect(model) {
  const state = new State(model);
  const say = (text) => { element("status").textContent = text; };
  const tabs = [...element("tabs").children];
  const labelOf = {}; // the class for which a tool was last drawn
  const open = (name) => {
    for (const tab of tabs) {
      const isOpen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(isOpen));
      tab.tabIndex = isOpen ? 0 : -1;
      element(tab.getAttribute("aria-controls")).hidden = !isOpen;
    }
    if (name === "change" || labelOf[name] !== state.label) tools[name]();
    labelOf[name] = state.label;
  };
  element("tab-photo").hidden = !model.encodes;
  const tools = { change: sliders(state), map: map(state), morph: morph(state), sum: sum(state), photo: photo(state, open, say) };
  for (const canvas of document.querySelectorAll("canvas")) {
    const [height, width] = canvas.id === "seen" ? model.inputShape : model.shape;
    Object.assign(canvas, { width: width * (canvas.dataset.columns ?? 1), height: height * (canvas.dataset.rows ?? 1) });
  }

  const show = latest(async (stale) => {
    const picture = await model.decode(state.z, state.label);
    paint(element("picture"), picture, model.shape);
    const name = state.drawn ? `Picture ${state.number} of seed ${state.seed}` : `A ${model.noun} of its own code`;
    element("picture").ariaLabel = `${name}${model.labels.length ? `, class ${model.labels[state.label]}` : ""}`;
    for (const key of ["seed", "number", "temperature"]) element(key).value = state[key];
    element("warmth").textContent = state.temperature.toFixed(2);
    [...element("classes").children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === state.label)));
    history.replaceState(null, "", `#${state.link}`);
    if (!stale()) element("picture").ariaBusy = "false";
    tools.change();
  });
  state.addEventListener("change", show);

  model.labels.forEach((name, label) => {
    const button = document.createElement("button");
    button.textContent = name;
    button.onclick = async () => {
      await state.set({ label });
      open(tabs.find((tab) => tab.tabIndex === 0).getAttribute("aria-controls"));
    };
    element("classes").append(button);
  });
  const draw = (values) => { state.draw(values); say(""); };
  const next = () => draw({ number: state.number + 1 });
  element("new").onclick = next;
  element("reset").onclick = () => draw();
  element("temperature").oninput = ({ target }) => state.set({ temperature: Number(target.value) });
  for (const key of ["seed", "number"]) {
    element(key).onchange = ({ target }) => {
      if (target.checkValidity() && target.value !== "") draw({ [key]: Number(target.value) });
      else say(`${key === "seed" ? "A seed" : "The number of a picture"} is a whole number from 0 to ${target.max}.`);
    };
  }
  element("download").onclick = () => {
    const link = document.createElement("a");
    link.href = element("picture").toDataURL("image/png");
    link.download = `${model.noun}${state.drawn ? `_${state.seed}_${state.number}` : ""}.png`;
    link.click();
  };
  element("tabs").onclick = ({ target }) => { if (target.role === "tab") open(target.getAttribute("aria-controls")); };
  element("tabs").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const shown = tabs.filter((tab) => !tab.hidden);
    const tab = shown[(shown.findIndex((one) => one.tabIndex === 0) + step + shown.length) % shown.length];
    open(tab.getAttribute("aria-controls"));
    tab.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input[type=number], input[type=file]")) return;
    ({ n: next, r: () => draw() })[event.key.toLowerCase()]?.();
  });
  const follow = async () => {
    try {
      await state.follow(location.hash.slice(1) || `seed=${model.seed}`);
      say("");
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      await state.draw({ number: 0, seed: model.seed });
      say(`The link does not fit this model; this is picture 0 of seed ${model.seed}.`);
    }
  };
  window.addEventListener("hashchange", follow);
  await follow();
  open("change");
  return state;
}

try {
  const model = await Model.load();
  const state = await connect(model);
  // for scripts and tests: await explorer.model.decode(explorer.state.z)
  globalThis.explorer = { model, state };
  element("main").inert = false;
  element("main").ariaBusy = "false";
} catch (error) {
  element("failure").textContent = `The page cannot show its model: ${error.message}`;
  element("failure").hidden = false;
  console.error(error);
}
