// An export in the page: its decoder and encoder, and the prior that codes are drawn from.

import { Memory, Network, widened } from "./engine.js";
import { choice, normals } from "./random.js";
import { resized } from "./resize.js";

// of Heun's method along a flow, as in codes/drawn.py
const STEPS = 10;

const times = (shape) => shape.reduce((product, side) => product * side, 1);

export class Model {
  // described: what page.py wrote. bytes: numbers of constants. wasm: matmul.wasm
  constructor(described, bytes, wasm) {
    Object.assign(this, described);
    const memory = new Memory(wasm);
    const numbers = ({ shape, type, at }) => {
      const start = bytes.byteOffset + at;
      if (type === "float16") return widened(new Uint16Array(bytes.buffer, start, times(shape)));
      return new Float32Array(bytes.buffer, start, times(shape));
    };
    this.networks = {};
    for (const [name, program] of Object.entries(described.programs)) {
      this.networks[name] = new Network(memory, program, numbers);
    }
    const prior = described.prior.arrays;
    this.arrays = Object.fromEntries(Object.entries(prior).map(([name, constant]) => [name, numbers(constant)]));
    this.ways = described.directions.map(({ way }) => numbers(way));
  }

  #run(name, output, inputs, label) {
    const given = Object.entries(inputs).map(([key, [shape, values]]) => [key, { shape, numbers: values }]);
    const all = { ...Object.fromEntries(given), label: { shape: [1], numbers: [label ?? 0] } };
    return this.networks[name].run(all)[output].numbers;
  }

  // The picture of a code, floats in [-1, 1], (height, width, channels).
  decode(z, label) {
    return this.#run("decoder", "images", { z: [[1, z.length], z] }, label);
  }

  // The code of a picture, floats in [-1, 1] of the shape `inputShape`.
  encode(picture, label) {
    return this.#run("encoder", "z", { images: [[1, ...this.inputShape], picture] }, label);
  }

  // RGBA bytes (side, side) to a code; also the picture that the encoder saw.
  encodePixels(pixels, side, label) {
    const seen = resized(pixels, side, this.inputShape);
    return { seen, z: this.encode(seen, label) };
  }

  // The code of picture `number` of a seed's sequence.
  draw(seed, number, temperature, label) {
    const { arrays, latentDim } = this;
    if (this.prior.name === "flow") return this.#flow(normals([seed, number], latentDim), temperature, label);
    const epsilon = normals([seed, 2 * number + 1], latentDim);
    if (this.prior.name === "normal") return epsilon.map((value) => temperature * value);
    const component = choice([seed, 2 * number], arrays.weights);
    return arrays.means.slice(component * latentDim, (component + 1) * latentDim).map((mean, row) => {
      const at = (component * latentDim + row) * latentDim;
      let sum = 0;
      for (let column = 0; column <= row; column++) sum += arrays.scales[at + column] * epsilon[column];
      return mean + temperature * sum;
    });
  }

  #flow(noise, temperature, label) {
    const { arrays, latentDim } = this;
    let x = noise.map((value) => temperature * value);
    const velocity = (at, t) => {
      const inputs = { x: [[1, latentDim], at], t: [[1, 1], [t]] };
      const found = this.#run("velocity", "velocity", inputs, label);
      const share = (2 * t - 1) / (t * t + (1 - t) * (1 - t));
      return found.map((value, index) => value + at[index] * share);
    };
    for (let step = 0; step < STEPS; step++) {
      const first = velocity(x, step / STEPS);
      const guess = x.map((value, index) => value + first[index] / STEPS);
      const second = velocity(guess, (step + 1) / STEPS);
      x = x.map((value, index) => value + (first[index] + second[index]) / (2 * STEPS));
    }
    return Float32Array.from(arrays.mean, (mean, row) => {
      let sum = mean;
      for (let column = 0; column < latentDim; column++) sum += arrays.scale[row * latentDim + column] * x[column];
      return sum;
    });
  }

  // A picture as RGBA bytes.
  pixels(picture) {
    const [height, width, channels] = this.shape;
    return pixels(picture, height * width, channels);
  }
}

// Floats in [-1, 1] of `count` pixels as RGBA bytes.
export function pixels(picture, count, channels) {
  const found = new Uint8ClampedArray(count * 4).fill(255);
  for (let pixel = 0; pixel < count; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      found[pixel * 4 + channel] = Math.round((picture[pixel * channels + (channels === 1 ? 0 : channel)] + 1) * 127.5);
    }
  }
  return found;
}
