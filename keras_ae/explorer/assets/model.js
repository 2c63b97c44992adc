// An export in the page: its networks, which onnxruntime-web runs, and the prior that codes are drawn from.

import { choice, normals, uniforms } from "./random.js";

// The bytes of a file that the page carries, deflated and in base64.
async function readFile(name) {
  const text = document.getElementById(name).textContent;
  // browsers before 2025 have no fromBase64
  const decode = (letters) => new Uint8Array(letters.length).map((_, at) => letters.charCodeAt(at));
  const packed = Uint8Array.fromBase64?.(text) ?? decode(atob(text));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class Model {
  #runtime;
  #sessions = {};
  #queue = Promise.resolve();

  // The model of the page, once it can decode.
  static async load() {
    if (!globalThis.WebAssembly || !globalThis.DecompressionStream) throw new Error("this browser is too old, or has no WebAssembly.");
    const model = new Model();
    Object.assign(model, JSON.parse(document.getElementById("model").textContent));
    const script = new Blob([await readFile("runtime.mjs")], { type: "text/javascript" });
    model.#runtime = await import(URL.createObjectURL(script));
    // more threads would need a server with headers of its own
    model.#runtime.env.wasm.numThreads = 1;
    model.#runtime.env.wasm.wasmBinary = await readFile("runtime.wasm");
    for (const name of ["mean", "deviation", "first"]) model[name] = Float32Array.from(model[name]);
    model.arrays = {};
    for (const name of model.priorArrays) model.arrays[name] = new Float32Array((await readFile(`prior.${name}`)).buffer);
    await model.#session("decoder");
    return model;
  }

  // Networks are loaded when they are first needed: most visitors never use the encoder.
  #session(name) {
    this.#sessions[name] ??= readFile(`${name}.onnx`).then((bytes) => this.#runtime.InferenceSession.create(bytes));
    return this.#sessions[name];
  }

  // One output of a network.
  async #run(name, output, inputs, label) {
    return (await this.#outputs(name, [output], inputs, label))[output].data;
  }

  // Outputs of a network, tensors by name. inputs: {name: [values, shape]}
  async #outputs(name, outputs, inputs, label) {
    const session = await this.#session(name);
    const all = session.inputNames.includes("label") ? { ...inputs, label: [Int32Array.of(label), [1]] } : inputs;
    const tensors = Object.entries(all).map(([key, [values, shape]]) => [key, new this.#runtime.Tensor(values, shape)]);
    // one run at a time: they share the stack of the WebAssembly module
    const run = this.#queue.then(() => session.run(Object.fromEntries(tensors), outputs));
    this.#queue = run.catch(() => {});
    return run;
  }

  // The picture of a code: floats in [-1, 1], (height, width, channels).
  decode(z, label) {
    return this.#run("decoder", "images", { z: [z, [1, this.latentDim]] }, label);
  }

  // The code of a picture of shape `inputShape`, floats in [-1, 1].
  encode(picture, label) {
    return this.#run("encoder", "z", { images: [picture, [1, ...this.inputShape]] }, label);
  }

  // RGBA bytes (height, width) as the encoder takes them; grey is Pillow's mode L.
  resize(pixels, height, width) {
    const channels = this.inputShape[2];
    const grey = (at) => (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 32768) >> 16;
    const bytes = new Uint8Array(height * width * channels);
    for (let pixel = 0; pixel < height * width; pixel++) {
      if (channels === 1) bytes[pixel] = grey(4 * pixel);
      else bytes.set(pixels.subarray(4 * pixel, 4 * pixel + 3), 3 * pixel);
    }
    return this.#run("resize", "resized", { images: [bytes, [1, height, width, channels]] });
  }

  // The code of picture `number` of a seed's sequence.
  async draw(seed, number, temperature, label) {
    const { arrays, latentDim } = this;
    // the page starts without the prior
    if (seed === this.seed && number === 0 && temperature === 1 && !label) return this.first.slice();
    if (this.prior === "flow") return this.#flow(normals([seed, number], latentDim), temperature, label);
    if (this.prior === "autoregressive") return this.#transformer(seed, number, temperature, label);
    const epsilon = normals([seed, 2 * number + 1], latentDim).map((value) => temperature * value);
    if (this.prior === "normal") return epsilon;
    const component = choice([seed, 2 * number], arrays.weights);
    const mean = arrays.means.subarray(component * latentDim, (component + 1) * latentDim);
    return affine(arrays.scales.subarray(component * latentDim ** 2), epsilon, mean);
  }

  // Ten steps of Heun's method along the flow, as in priors/flow.py.
  async #flow(noise, temperature, label) {
    let x = noise.map((value) => temperature * value);
    const velocity = async (at, t) => {
      const inputs = { x: [at, [1, this.latentDim]], t: [Float32Array.of(t), [1, 1]] };
      const found = await this.#run("velocity", "velocity", inputs, label);
      const share = (2 * t - 1) / (t * t + (1 - t) * (1 - t));
      return found.map((value, index) => value + at[index] * share);
    };
    for (let step = 0; step < 10; step++) {
      const first = await velocity(x, step / 10);
      const second = await velocity(x.map((value, index) => value + first[index] / 10), (step + 1) / 10);
      x = x.map((value, index) => value + (first[index] + second[index]) / 20);
    }
    return affine(this.arrays.scale, x, this.arrays.mean);
  }

  // One cell after another, as in priors/autoregressive.py.
  async #transformer(seed, number, temperature, label) {
    const { codebook, cache: shape } = this.arrays;
    const cells = shape[1];
    const channels = this.latentDim / cells;
    const entries = codebook.length / channels;
    const noise = uniforms([seed, number], cells * entries).map((value) => -temperature * Math.log(-Math.log(Math.max(value, 1e-7))));
    let token = entries;
    let cache = new Float32Array(shape.reduce((product, size) => product * size));
    const z = new Float32Array(this.latentDim);
    for (let cell = 0; cell < cells; cell++) {
      const numbers = { token: [Int32Array.of(token), [1]], position: [Int32Array.of(cell), [1]] };
      const { logits, kept } = await this.#outputs("step", ["logits", "kept"], { ...numbers, cache: [cache, [1, ...shape]] }, label);
      const scores = logits.data.map((logit, entry) => logit + noise[cell * entries + entry]);
      token = scores.indexOf(Math.max(...scores));
      cache = kept.data;
      z.set(codebook.subarray(token * channels, (token + 1) * channels), cell * channels);
    }
    return z;
  }
}

// mean + matrix x
function affine(matrix, x, mean) {
  return mean.map((start, row) => x.reduce((sum, value, column) => sum + matrix[row * x.length + column] * value, start));
}
