// The random numbers of a seed, as in codes/philox.py: page, Python and TensorFlow draw the same pictures.

// Philox 4x32-10 (Salmon et al. 2011)
const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];
const SCRAMBLING = [0x3ec8f720, 0x02461e29];

// The upper 32 bits of a product of two 32-bit numbers.
function upper(a, b) {
  const [low, high] = [b & 0xffff, b >>> 16];
  const first = (a & 0xffff) * low;
  const second = (a >>> 16) * low + Math.floor(first / 65536);
  const third = (a & 0xffff) * high + (second % 65536);
  return ((a >>> 16) * high + Math.floor(second / 65536) + Math.floor(third / 65536)) >>> 0;
}

function philox([first, second, third, fourth], [left, right]) {
  for (let round = 0; round < ROUNDS; round++) {
    [first, second, third, fourth] = [
      (upper(MULTIPLIERS[1], third) ^ second ^ left) >>> 0,
      Math.imul(MULTIPLIERS[1], third) >>> 0,
      (upper(MULTIPLIERS[0], first) ^ fourth ^ right) >>> 0,
      Math.imul(MULTIPLIERS[0], first) >>> 0,
    ];
    [left, right] = [(left + WEYL[0]) >>> 0, (right + WEYL[1]) >>> 0];
  }
  return [first, second, third, fourth];
}

// Four random words of each of `count` groups of the pair of seeds; whole numbers from 0 to 2^53.
function* words(seeds, count) {
  const halves = seeds.flatMap((seed) => [seed >>> 0, Math.floor(seed / 2 ** 32)]);
  const mixed = philox(halves, SCRAMBLING);
  for (let group = 0; group < count; group++) {
    yield philox([group, 0, mixed[2], mixed[3]], [mixed[0], mixed[1]]);
  }
}

// `length` standard normal numbers (Box and Muller 1958)
export function normals(seeds, length) {
  const { fround } = Math;
  const found = new Float32Array(Math.ceil(length / 4) * 4);
  let to = 0;
  for (const four of words(seeds, found.length / 4)) {
    const uniform = four.map((word) => (word & 0x7fffff) / 2 ** 23);
    for (const [first, second] of [uniform.slice(0, 2), uniform.slice(2)]) {
      const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(Math.max(first, fround(1e-7)))))));
      const angle = fround(fround(2 * Math.PI) * second);
      found[to++] = fround(Math.sin(angle)) * radius;
      found[to++] = fround(Math.cos(angle)) * radius;
    }
  }
  return found.subarray(0, length);
}

// One index, with probabilities that are proportional to the weights.
export function choice(seeds, weights) {
  const [[first, second]] = words(seeds, 1);
  const uniform = ((first & 0xfffff) * 2 ** 32 + second) / 2 ** 52;
  const most = Math.max(...weights);
  let sum = 0;
  const cumulative = Array.from(weights, (weight) => (sum += weight / most));
  return Math.min(cumulative.findIndex((value) => value > uniform * sum), cumulative.length - 1);
}
