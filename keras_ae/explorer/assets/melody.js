// A picture as two bars of music, as in media/melodies.py: each column is a sixteenth, its brightest row the step.

import { element } from "./drawing.js";

const [HIGHEST, HOLD] = [84, 30];
const SIXTEENTH = 0.125; // seconds at 120 beats a minute

// [first step, number of steps, MIDI pitch] of each note of a picture (32, 32, 1)
export function notes(picture, [height, width]) {
  const found = [];
  let sounding = false;
  for (let place = 0; place < width; place++) {
    let step = 0;
    for (let row = 1; row < height; row++) {
      if (picture[row * width + place] > picture[step * width + place]) step = row;
    }
    if (step < HOLD) found.push([place, 1, HIGHEST - step]);
    else if (step === HOLD && sounding) found.at(-1)[1] += 1;
    sounding = step < HOLD || (step === HOLD && sounding);
  }
  return found;
}

export function melody(state) {
  const { model } = state;
  const [roll, button] = [element("roll"), element("listen")];
  let sound = null;
  const stop = () => {
    sound?.close();
    sound = null;
    button.textContent = "Play";
    button.setAttribute("aria-pressed", "false");
  };
  const now = () => notes(model.decode(state.z, state.label), model.shape);
  const draw = () => {
    const [wide, high, lowest] = [16, 8, HIGHEST - HOLD];
    roll.width = 32 * wide;
    roll.height = HOLD * high;
    const context = roll.getContext("2d");
    const colours = getComputedStyle(document.documentElement);
    for (let step = 0; step < 32; step++) {
      context.globalAlpha = step % 16 === 0 ? 0.35 : step % 4 === 0 ? 0.15 : 0;
      context.fillStyle = colours.getPropertyValue("--soft");
      context.fillRect(step * wide, 0, 1, roll.height);
    }
    context.globalAlpha = 1;
    context.fillStyle = colours.getPropertyValue("--accent");
    for (const [first, length, pitch] of now()) {
      context.fillRect(first * wide, roll.height - (pitch - lowest) * high, length * wide - 2, high);
    }
  };
  button.onclick = () => {
    if (sound) return stop();
    const context = new AudioContext();
    sound = context;
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    const begin = context.currentTime + 0.05;
    for (const [first, length, pitch] of now()) {
      const [from, to] = [begin + first * SIXTEENTH, begin + (first + length) * SIXTEENTH];
      const [voice, loudness] = [new OscillatorNode(context, { type: "triangle" }), new GainNode(context, { gain: 0 })];
      voice.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
      loudness.gain.setTargetAtTime(0.2, from, 0.008);
      loudness.gain.setTargetAtTime(0, to - 0.03, 0.02);
      voice.connect(loudness).connect(context.destination);
      voice.start(from);
      voice.stop(to + 0.15);
    }
    setTimeout(() => { if (sound === context) stop(); }, 1000 * (32 * SIXTEENTH + 0.3));
  };
  return draw;
}
