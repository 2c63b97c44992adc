// Starts the page: reads the export that it carries, and connects the controls with the state.

import { element, paint } from "./drawing.js";
import { map } from "./map.js";
import { mix } from "./mix.js";
import { Model } from "./model.js";
import { morph } from "./morph.js";
import { photo } from "./photo.js";
import { sliders } from "./sliders.js";
import { State } from "./state.js";

const TEXT_ENTRY = "input[type=number], input[type=file]";

async function opened() {
  if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly, or it is switched off.");
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old: it has no DecompressionStream.");
  const letters = atob(element("numbers").textContent);
  const packedBytes = new Uint8Array(letters.length);
  // a function for each letter would take as long as all the rest of the start
  for (let index = 0; index < letters.length; index++) packedBytes[index] = letters.charCodeAt(index);
  const stream = new Blob([packedBytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  element("numbers").remove();
  const described = JSON.parse(element("described").textContent);
  return new Model(described, bytes, bytes.slice(described.wasm[0], described.wasm[0] + described.wasm[1]));
}

function connect(model) {
  const state = new State(model);
  const say = (text) => { element("status").textContent = text; };
  const update = {};
  const open = (name) => {
    for (const tab of element("tabs").children) {
      const mine = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(mine));
      tab.tabIndex = mine ? 0 : -1;
      element(tab.getAttribute("aria-controls")).hidden = !mine;
    }
    update[name]();
  };
  update.change = sliders(state);
  update.map = map(state);
  update.morph = morph(state);
  update.mix = mix(state);
  update.photo = photo(state, open, say);
  element("tab-photo").hidden = !model.programs.encoder;

  let waiting = false;
  state.addEventListener("change", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint(element("picture"), model.decode(state.z, state.label), model.shape);
      const name = state.drawn ? `Picture ${state.number} of seed ${state.seed}` : `A ${model.noun} of its own code`;
      element("picture").setAttribute("aria-label", `${name}${model.labels.length ? `, class ${model.labels[state.label]}` : ""}`);
      element("seed").value = state.seed;
      element("number").value = state.number;
      element("temperature").value = state.temperature;
      element("warmth").textContent = state.temperature.toFixed(2);
      [...element("classes").children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === state.label)));
      update.change();
      history.replaceState(null, "", `#${state.link}`);
    });
  });

  element("classes").hidden = !model.labels.length;
  model.labels.forEach((name, label) => {
    const button = document.createElement("button");
    button.textContent = name;
    button.onclick = () => {
      state.set({ label });
      const tab = element("tabs").querySelector("[aria-selected=true]");
      if (tab.id !== "tab-change") update[tab.getAttribute("aria-controls")]();
    };
    element("classes").append(button);
  });
  const another = () => { state.draw(state.number + 1); say(""); };
  const reset = () => { state.draw(); say(""); };
  element("new").onclick = another;
  element("reset").onclick = reset;
  element("temperature").oninput = (event) => state.set({ temperature: Number(event.target.value) });
  for (const [name, key] of [["seed", "seed"], ["number", "number"]]) {
    element(name).onchange = ({ target }) => {
      if (!target.checkValidity() || target.value === "") {
        say(`${key === "seed" ? "A seed" : "The number of a picture"} is a whole number from 0 to ${target.max}.`);
        return;
      }
      state.draw(key === "number" ? Number(target.value) : state.number, key === "seed" ? Number(target.value) : state.seed);
      say("");
    };
  }
  element("download").onclick = () => {
    const link = document.createElement("a");
    link.href = element("picture").toDataURL("image/png");
    link.download = `${model.noun}${state.drawn ? `_${state.seed}_${state.number}` : ""}.png`;
    link.click();
  };
  element("link").onclick = async () => {
    history.replaceState(null, "", `#${state.link}`);
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied. It shows this picture wherever this page lies at the same place.");
    } catch {
      say(`Copy this link: ${location.href}`);
    }
  };
  element("tabs").onclick = ({ target }) => { if (target.role === "tab") open(target.getAttribute("aria-controls")); };
  element("tabs").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...element("tabs").children].filter((tab) => !tab.hidden);
    const next = tabs[(tabs.findIndex((tab) => tab.tabIndex === 0) + step + tabs.length) % tabs.length];
    open(next.getAttribute("aria-controls"));
    next.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.(TEXT_ENTRY)) return;
    ({ n: another, r: reset })[event.key.toLowerCase()]?.();
  });
  const follow = () => {
    try {
      state.follow(location.hash.slice(1) || `seed=${model.seed}`);
      say("");
    } catch {
      state.draw(0, model.seed);
      say(`The link does not fit this model; this is picture 0 of seed ${model.seed}.`);
    }
  };
  window.addEventListener("hashchange", follow);
  open("change");
  follow();
  return state;
}

try {
  const model = await opened();
  // for scripts and tests: explorer.model.decode(explorer.state.z)
  globalThis.explorer = { model, state: connect(model) };
  element("main").setAttribute("aria-busy", "false");
} catch (error) {
  element("failure").textContent = `The page cannot show its model: ${error.message}`;
  element("failure").hidden = false;
  console.error(error);
}
