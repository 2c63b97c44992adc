// Between two pictures: a scrubber, an animation, and a strip of film.

import { element, mixed, moment, paint, settled, tiled } from "./drawing.js";

const FRAMES = 7;
const SECONDS = 2.5;

export function morph(state) {
  const { model } = state;
  const ends = [null, null];
  const scrubber = element("between");
  const play = element("play");
  const at = (share) => mixed(ends, [1 - share, share], model.middle);
  const film = settled(async (stale) => {
    const canvas = element("film");
    tiled(canvas, model.shape, FRAMES, 1);
    for (let frame = 0; frame < FRAMES; frame++) {
      if (stale()) return;
      paint(canvas, model.decode(at(frame / (FRAMES - 1)), state.label), model.shape, frame * model.shape[1]);
      await moment();
    }
  }, 0);
  const set = (index, z) => {
    ends[index] = z;
    if (ends[1 - index]) film();
    paint(element(["first", "second"][index]), model.decode(z, state.label), model.shape);
  };
  const go = (share) => {
    scrubber.value = share;
    state.show(at(share));
  };
  let begun = 0;
  const stop = () => {
    begun = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const tick = (now) => {
    if (!begun || element("morph").hidden) return stop();
    const turn = ((now - begun) / 1000 / SECONDS) % 2;
    go(turn < 1 ? turn : 2 - turn);
    requestAnimationFrame(tick);
  };
  play.onclick = () => {
    if (begun) return stop();
    const share = Number(scrubber.value);
    begun = performance.now() - share * SECONDS * 1000;
    play.textContent = "Stop";
    play.setAttribute("aria-pressed", "true");
    requestAnimationFrame(tick);
  };
  const fresh = () => model.draw(Math.floor(Math.random() * 2 ** 31), 0, state.temperature, state.label);
  scrubber.oninput = () => { stop(); go(Number(scrubber.value)); };
  element("set-first").onclick = () => { set(0, state.z); scrubber.value = 0; };
  element("set-second").onclick = () => { set(1, state.z); scrubber.value = 1; };
  element("new-second").onclick = () => set(1, fresh());
  let label = null;
  return () => {
    if (!ends[0]) {
      set(0, state.z);
      set(1, fresh());
    } else if (label !== state.label) {
      ends.forEach((z, index) => set(index, z));
    }
    label = state.label;
  };
}
