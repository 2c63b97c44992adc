// Computes the networks of an export: one operation of ONNX after another, on float32 values in one WebAssembly memory.
//
// A value is {shape, at}: its first number is floats[at]. Constants of integers also have their numbers as `list`.

const ROWS = 4; // the matrix product takes rows by four and columns by eight
const COLUMNS = 8;
const STRIP = 65536; // numbers of a strip of unfolded pixels: it stays in a processor's cache
const PAGE = 16384; // numbers in a page of WebAssembly's memory

const size = (shape) => shape.reduce((product, side) => product * side, 1);
const upTo = (multiple, number) => Math.ceil(number / multiple) * multiple;

export class Memory {
  // wasm: the bytes of matmul.wasm
  constructor(wasm) {
    this.memory = new WebAssembly.Memory({ initial: 64 });
    this.floats = new Float32Array(this.memory.buffer);
    this.top = 0;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { page: { memory: this.memory } });
    this.product = exports.matmul;
  }

  // The place of `count` numbers, at a multiple of 16 bytes. Places taken after a mark are free again when `top` is set back.
  take(count) {
    const at = this.top;
    this.top += upTo(4, count);
    if (this.top > this.floats.length) {
      this.memory.grow(Math.ceil((this.top - this.floats.length) / PAGE) + 256);
      this.floats = new Float32Array(this.memory.buffer);
    }
    return at;
  }

  value(shape) {
    return { shape, at: this.take(size(shape)) };
  }

  // c = a b, see matmul.wat; a, b and c are places
  multiply(a, b, c, m, k, n) {
    this.product(a * 4, b * 4, c * 4, m, k, n);
  }

  // A matrix (rows, columns) with as many rows and columns of zeros as make multiples of these; in its own place, or in `place`.
  padded(at, rows, columns, byRows, byColumns, place = null) {
    const [high, wide] = [upTo(byRows, rows), upTo(byColumns, columns)];
    place ??= this.take(high * wide);
    this.floats.fill(0, place, place + high * wide);
    for (let row = 0; row < rows; row++) {
      const from = at + row * columns;
      this.floats.copyWithin(place + row * wide, from, from + columns);
    }
    return place;
  }
}

// The pixels under each weight of a kernel, for output positions start ... start + count - 1: (channels * high * wide, count).
function unfold(floats, to, image, kernel, output, { strides, pads, dilations }, start, count) {
  const [channels, height, width] = image.shape;
  const [high, wide] = kernel;
  const [down, across] = strides;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        let done = 0;
        while (done < count) {
          const row = Math.floor((start + done) / output[1]);
          const first = (start + done) % output[1];
          const last = Math.min(output[1], first + count - done);
          const top = row * down - pads[0] + y * dilations[0];
          const left = x * dilations[1] - pads[1];
          let column = first;
          if (top >= 0 && top < height) {
            for (; column < last && column * across + left < 0; column++) floats[to++] = 0;
            let from = image.at + (channel * height + top) * width + column * across + left;
            const inside = Math.min(last, Math.ceil((width - left) / across));
            for (; column < inside; column++, from += across) floats[to++] = floats[from];
          }
          for (; column < last; column++) floats[to++] = 0;
          done += last - first;
        }
        // the strip may be wider than what is left of the picture
        to += upTo(COLUMNS, count) - count;
      }
    }
  }
}

function conv(memory, [x, kernel, bias], attributes) {
  const { strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1 } = attributes;
  const [batch, channels, height, width] = x.shape;
  const [made, taken, high, wide] = kernel.shape;
  const side = (length, index, weights) =>
    Math.floor((length + pads[index] + pads[index + 2] - dilations[index] * (weights - 1) - 1) / strides[index]) + 1;
  const output = [side(height, 0, high), side(width, 1, wide)];
  const positions = output[0] * output[1];
  const [inner, each] = [taken * high * wide, made / group];
  const result = memory.value([batch, made, ...output]);
  const mark = memory.top;
  const strip = Math.min(upTo(COLUMNS, positions), Math.max(COLUMNS, Math.floor(STRIP / inner / COLUMNS) * COLUMNS));
  const [pixels, product] = [memory.take(inner * strip), memory.take(upTo(ROWS, each) * strip)];
  const { floats } = memory;
  for (let item = 0; item < batch * group; item++) {
    const index = item % group;
    const image = { shape: [taken, height, width], at: x.at + item * taken * height * width };
    for (let start = 0; start < positions; start += strip) {
      const count = Math.min(strip, positions - start);
      const columns = upTo(COLUMNS, count);
      unfold(floats, pixels, image, [high, wide], output, { strides, pads, dilations }, start, count);
      memory.multiply(kernel.groups[index], pixels, product, upTo(ROWS, each), inner, columns);
      for (let row = 0; row < each; row++) {
        const shift = bias ? floats[bias.at + index * each + row] : 0;
        let [from, to] = [product + row * columns, result.at + (item * each + row) * positions + start];
        for (const end = from + count; from < end; from++, to++) floats[to] = floats[from] + shift;
      }
    }
  }
  memory.top = mark;
  return result;
}

function convTranspose(memory, [x, kernel, bias], { strides = [1, 1], pads = [0, 0, 0, 0] }) {
  const [batch, channels, height, width] = x.shape;
  const [, made, high, wide] = kernel.shape;
  const inner = made * high * wide;
  const side = (length, index, weights) => (length - 1) * strides[index] + weights - pads[index] - pads[index + 2];
  const output = [side(height, 0, high), side(width, 1, wide)];
  const result = memory.value([batch, made, ...output]);
  const mark = memory.top;
  const columns = upTo(COLUMNS, height * width);
  const [pixels, product] = [memory.take(channels * columns), memory.take(upTo(ROWS, inner) * columns)];
  const { floats } = memory;
  for (let item = 0; item < batch; item++) {
    memory.padded(x.at + item * channels * height * width, channels, height * width, 1, COLUMNS, pixels);
    memory.multiply(kernel.turned, pixels, product, upTo(ROWS, inner), channels, columns);
    for (let channel = 0; channel < made; channel++) {
      const plane = result.at + (item * made + channel) * output[0] * output[1];
      floats.fill(bias ? floats[bias.at + channel] : 0, plane, plane + output[0] * output[1]);
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < wide; x++) {
          const weights = product + ((channel * high + y) * wide + x) * columns;
          for (let row = 0; row < height; row++) {
            const top = row * strides[0] + y - pads[0];
            if (top < 0 || top >= output[0]) continue;
            const line = plane + top * output[1];
            for (let column = 0, left = x - pads[1]; column < width; column++, left += strides[1]) {
              if (left >= 0 && left < output[1]) floats[line + left] += floats[weights + row * width + column];
            }
          }
        }
      }
    }
  }
  memory.top = mark;
  return result;
}

function gemm(memory, [x, weights, bias]) {
  const [rows, inner] = x.shape;
  const columns = weights.shape[1];
  const wide = upTo(COLUMNS, columns);
  const result = memory.value([rows, columns]);
  const mark = memory.top;
  const product = memory.take(upTo(ROWS, rows) * wide);
  memory.multiply(memory.padded(x.at, rows, inner, ROWS, 1), weights.wide, product, upTo(ROWS, rows), inner, wide);
  const { floats } = memory;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const shift = bias ? floats[bias.at + column] : 0;
      floats[result.at + row * columns + column] = floats[product + row * wide + column] + shift;
    }
  }
  memory.top = mark;
  return result;
}

// The shape of what is computed of two shapes: axes are compared from the last one, and those of length 1 are repeated.
function broadcast(a, b) {
  const rank = Math.max(a.length, b.length);
  const side = (shape, axis) => shape[axis - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, axis) => Math.max(side(a, axis), side(b, axis)));
}

// The steps from one number to the next along each axis, 0 along axes of length 1 that are repeated.
function steps(shape, rank) {
  const found = Array(rank).fill(0);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    found[rank - shape.length + axis] = shape[axis] === 1 ? 0 : step;
    step *= shape[axis];
  }
  return found;
}

// Calls visit(place) for each index of the shape in row order; place: dot product of the index and `step`.
function walk(shape, step, visit, axis = 0, at = 0) {
  if (axis === shape.length) return visit(at);
  for (let index = 0; index < shape[axis]; index++) walk(shape, step, visit, axis + 1, at + index * step[axis]);
}

function transposed(memory, x, order, byRows = 1) {
  const shape = order.map((axis) => x.shape[axis]);
  const count = size(shape);
  const result = { shape, at: memory.take(upTo(byRows, shape[0]) * (count / shape[0])) };
  const { floats } = memory;
  floats.fill(0, result.at, memory.top);
  const step = steps(x.shape, x.shape.length);
  let to = result.at;
  walk(shape, order.map((axis) => step[axis]), (at) => { floats[to++] = floats[x.at + at]; });
  return result;
}

const unary = (compute) => (memory, [x], attributes) => {
  const result = memory.value(x.shape);
  const { floats } = memory;
  const count = size(x.shape);
  for (let index = 0; index < count; index++) floats[result.at + index] = compute(floats[x.at + index], attributes);
  return result;
};

// Without the call for each number that `unary` makes: most networks spend much of their time here.
const sigmoid = (memory, [x]) => {
  const result = memory.value(x.shape);
  const { floats } = memory;
  const shift = result.at - x.at;
  const end = x.at + size(x.shape);
  for (let index = x.at; index < end; index++) floats[index + shift] = 1 / (1 + Math.exp(-floats[index]));
  return result;
};

// [length, step of a, step of b] of each axis of a result; axes along which both go on evenly become one.
function joined(shape, a, b) {
  const axes = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    const [length, byA, byB] = axes[0] ?? [];
    if (a[axis] === length * byA && b[axis] === length * byB) axes[0][0] *= shape[axis];
    else axes.unshift([shape[axis], a[axis], b[axis]]);
  }
  return axes;
}

// row(floats, to, a, byA, b, byB, length): computes numbers to ... to + length - 1 from those of both operands, byA and byB apart.
// Each operation has a loop of its own: a common one with a function for each number takes four times as long.
const binary = (row) => (memory, [a, b]) => {
  const shape = broadcast(a.shape, b.shape);
  const result = memory.value(shape);
  const axes = joined(shape, steps(a.shape, shape.length), steps(b.shape, shape.length));
  const [length, byA, byB] = axes.pop() ?? [1, 0, 0];
  let to = result.at;
  const fill = (axis, atA, atB) => {
    if (axis === axes.length) {
      row(memory.floats, to, atA, byA, atB, byB, length);
      to += length;
      return;
    }
    const [count, alongA, alongB] = axes[axis];
    for (let index = 0; index < count; index++) fill(axis + 1, atA + index * alongA, atB + index * alongB);
  };
  fill(0, a.at, b.at);
  return result;
};

const added = binary((floats, to, a, byA, b, byB, length) => {
  for (let index = 0; index < length; index++, a += byA, b += byB) floats[to + index] = floats[a] + floats[b];
});

const multiplied = binary((floats, to, a, byA, b, byB, length) => {
  for (let index = 0; index < length; index++, a += byA, b += byB) floats[to + index] = floats[a] * floats[b];
});

const equal = binary((floats, to, a, byA, b, byB, length) => {
  for (let index = 0; index < length; index++, a += byA, b += byB) floats[to + index] = floats[a] === floats[b] ? 1 : 0;
});

// (x - mean) / deviation over runs of `length` numbers; then scaled and shifted by scale(run, index), shift(run, index)
function normalized(memory, x, length, epsilon, scale, shift) {
  const result = memory.value(x.shape);
  const { floats } = memory;
  for (let run = 0; run < size(x.shape) / length; run++) {
    const from = x.at + run * length;
    let [sum, squares] = [0, 0];
    for (let index = from; index < from + length; index++) sum += floats[index];
    const mean = sum / length;
    for (let index = from; index < from + length; index++) squares += (floats[index] - mean) ** 2;
    const inverse = 1 / Math.sqrt(squares / length + epsilon);
    for (let index = 0; index < length; index++) {
      const normal = (floats[from + index] - mean) * inverse;
      floats[result.at + run * length + index] = normal * floats[scale(run, index)] + (shift ? floats[shift(run, index)] : 0);
    }
  }
  return result;
}

function layerNormalization(memory, [x, scale, bias], { epsilon = 1e-5 }) {
  const along = (value) => value && ((run, index) => value.at + index);
  return normalized(memory, x, x.shape.at(-1), epsilon, along(scale), along(bias));
}

function instanceNormalization(memory, [x, scale, bias], { epsilon = 1e-5 }) {
  const channels = x.shape[1];
  const of = (value) => (run) => value.at + (run % channels);
  return normalized(memory, x, size(x.shape.slice(2)), epsilon, of(scale), of(bias));
}

// For each pixel of the enlarged side: the two old pixels that it lies between, and the share of the second.
function between(length, scale, linear) {
  return Array.from({ length: length * scale }, (_, index) => {
    if (!linear) return [Math.floor(index / scale), 0, 0];
    const place = Math.min(Math.max((index + 0.5) / scale - 0.5, 0), length - 1);
    const low = Math.floor(place);
    return [low, Math.min(low + 1, length - 1), place - low];
  });
}

function resize(memory, [x, , scales], { mode = "nearest" }) {
  const [batch, channels, height, width] = x.shape;
  const { floats } = memory;
  const [, , byRows, byColumns] = scales.list ?? floats.subarray(scales.at, scales.at + 4);
  const rows = between(height, byRows, mode === "linear");
  const columns = between(width, byColumns, mode === "linear");
  const result = memory.value([batch, channels, rows.length, columns.length]);
  let to = result.at;
  for (let plane = 0; plane < batch * channels; plane++) {
    const at = x.at + plane * height * width;
    for (const [top, bottom, down] of rows) {
      for (const [left, right, across] of columns) {
        const [upper, lower] = [at + top * width, at + bottom * width];
        const above = memory.floats[upper + left] * (1 - across) + memory.floats[upper + right] * across;
        const below = memory.floats[lower + left] * (1 - across) + memory.floats[lower + right] * across;
        memory.floats[to++] = above * (1 - down) + below * down;
      }
    }
  }
  return result;
}

const reshaped = (memory, [x, { list }]) => {
  const shape = list.map((side, axis) => (side === 0 ? x.shape[axis] : side));
  const known = shape.reduce((product, side) => (side < 0 ? product : product * side), 1);
  return { shape: shape.map((side) => (side < 0 ? size(x.shape) / known : side)), at: x.at };
};

const from = (axis, rank) => (axis < 0 ? axis + rank : axis);

function concatenated(memory, values, { axis }) {
  const first = values[0].shape;
  const along = from(axis, first.length);
  const outer = size(first.slice(0, along));
  const shape = first.map((side, index) => (index === along ? values.reduce((sum, one) => sum + one.shape[along], 0) : side));
  const result = memory.value(shape);
  let to = result.at;
  for (let row = 0; row < outer; row++) {
    for (const one of values) {
      const run = size(one.shape.slice(along));
      memory.floats.copyWithin(to, one.at + row * run, one.at + (row + 1) * run);
      to += run;
    }
  }
  return result;
}

function split(memory, [x], { axis = 0 }, outputs) {
  const along = from(axis, x.shape.length);
  const part = x.shape.map((side, index) => (index === along ? side / outputs : side));
  const [outer, run] = [size(x.shape.slice(0, along)), size(part.slice(along))];
  return Array.from({ length: outputs }, (_, index) => {
    const result = memory.value(part);
    for (let row = 0; row < outer; row++) {
      const at = x.at + (row * outputs + index) * run;
      memory.floats.copyWithin(result.at + row * run, at, at + run);
    }
    return result;
  });
}

function gather(memory, [table, indices]) {
  const run = size(table.shape.slice(1));
  const result = memory.value([...indices.shape, ...table.shape.slice(1)]);
  for (let index = 0; index < size(indices.shape); index++) {
    const at = table.at + memory.floats[indices.at + index] * run;
    memory.floats.copyWithin(result.at + index * run, at, at + run);
  }
  return result;
}

const expanded = (memory, [x, { list }]) => {
  const shape = broadcast(x.shape, list);
  const result = memory.value(shape);
  let to = result.at;
  walk(shape, steps(x.shape, shape.length), (at) => { memory.floats[to++] = memory.floats[x.at + at]; });
  return result;
};

export const OPERATIONS = {
  Add: added,
  Cast: (memory, [x]) => x,
  Clip: (memory, [x, low, high]) => {
    const [least, most] = [memory.floats[low.at], memory.floats[high.at]];
    return unary((value) => Math.min(Math.max(value, least), most))(memory, [x]);
  },
  Concat: concatenated,
  Conv: conv,
  ConvTranspose: convTranspose,
  Cos: unary(Math.cos),
  Elu: unary((value, { alpha = 1 }) => (value > 0 ? value : alpha * Math.expm1(value))),
  Equal: equal,
  Expand: expanded,
  Gather: gather,
  Gemm: gemm,
  Identity: (memory, [x]) => x,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  LeakyRelu: unary((value, { alpha = 0.01 }) => (value < 0 ? alpha * value : value)),
  Mul: multiplied,
  Relu: unary((value) => (value > 0 ? value : 0)),
  Reshape: reshaped,
  Resize: resize,
  Sigmoid: sigmoid,
  Sin: unary(Math.sin),
  Softplus: unary((value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)))),
  Split: split,
  Tanh: unary(Math.tanh),
  Transpose: (memory, [x], { perm }) => transposed(memory, x, perm),
  Unsqueeze: (memory, [x, { list }]) => {
    const shape = [...x.shape];
    for (const axis of list) shape.splice(axis, 0, 1);
    return { shape, at: x.at };
  },
};

// What operations make of their weights, once: matrices with the rows and columns that the product takes.
const PREPARATIONS = {
  Conv: (memory, kernel, { group = 1 }) => {
    const [made, ...others] = kernel.shape;
    const [each, inner] = [made / group, size(others)];
    const padded = (_, index) => memory.padded(kernel.at + index * each * inner, each, inner, ROWS, 1);
    kernel.groups = Array.from({ length: group }, padded);
  },
  ConvTranspose: (memory, kernel) => {
    const [channels, ...others] = kernel.shape;
    kernel.turned = transposed(memory, { shape: [channels, size(others)], at: kernel.at }, [1, 0], ROWS).at;
  },
  Gemm: (memory, weights) => {
    const [inner, columns] = weights.shape;
    weights.wide = columns % COLUMNS ? memory.padded(weights.at, inner, columns, 1, COLUMNS) : weights.at;
  },
};

// float16 numbers as float32
export function widened(halves) {
  const floats = new Float32Array(halves.length);
  const bits = new Uint32Array(floats.buffer);
  for (let index = 0; index < halves.length; index++) {
    const half = halves[index];
    const magnitude = half & 0x7fff;
    // subnormal numbers are multiples of 2^-24
    if (magnitude < 0x400) floats[index] = magnitude * 2 ** -24 * (half & 0x8000 ? -1 : 1);
    else bits[index] = ((half & 0x8000) << 16) | ((magnitude << 13) + 0x38000000);
  }
  return floats;
}

export class Network {
  // program: {constants, steps, inputs, outputs}, see program.py. numbers: the function from a constant to its numbers.
  constructor(memory, { constants, steps, inputs, outputs }, numbers) {
    Object.assign(this, { memory, steps, inputs, outputs });
    this.constants = {};
    for (const constant of constants) {
      const values = constant.list ?? numbers(constant);
      const value = { ...memory.value(constant.shape), list: constant.list };
      memory.floats.set(values, value.at);
      this.constants[constant.name] = value;
    }
    for (const [operation, [, weights], , attributes] of steps) {
      PREPARATIONS[operation]?.(memory, this.constants[weights], attributes);
    }
  }

  // inputs: {name: {shape, numbers}}. Returns {name: {shape, numbers}}.
  run(inputs) {
    const { memory } = this;
    const values = { ...this.constants };
    const mark = memory.top;
    for (const name of this.inputs) {
      values[name] = memory.value(inputs[name].shape);
      memory.floats.set(inputs[name].numbers, values[name].at);
    }
    for (const [operation, taken, made, attributes] of this.steps) {
      const given = taken.map((name) => values[name]);
      const found = OPERATIONS[operation](memory, given, attributes, made.length);
      made.forEach((name, index) => { values[name] = Array.isArray(found) ? found[index] : found; });
    }
    const results = this.outputs.map((name) => {
      const { shape, at } = values[name];
      return [name, { shape, numbers: memory.floats.slice(at, at + size(shape)) }];
    });
    memory.top = mark;
    return Object.fromEntries(results);
  }
}
