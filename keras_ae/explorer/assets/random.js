// The random numbers of a seed, as in priors/philox.py: the page draws the pictures that Python draws.

// Philox 4x32-10 (Salmon et al. 2011): four random words of a counter of four words and a key of two.
function philox([first, second, third, fourth], [left, right]) {
  const word = (value) => Number(value & 0xffffffffn);
  for (let round = 0; round < 10; round++) {
    const products = [BigInt(first) * 0xd2511f53n, BigInt(third) * 0xcd9e8d57n];
    first = (word(products[1] >> 32n) ^ second ^ left) >>> 0;
    third = (word(products[0] >> 32n) ^ fourth ^ right) >>> 0;
    [second, fourth] = [word(products[1]), word(products[0])];
    [left, right] = [(left + 0x9e3779b9) >>> 0, (right + 0xbb67ae85) >>> 0];
  }
  return [first, second, third, fourth];
}

// `count` groups of four random words of a pair of seeds; seeds are whole numbers from 0 to 2^53.
function* words(seeds, count) {
  const halves = seeds.flatMap((seed) => [seed >>> 0, Math.floor(seed / 2 ** 32)]);
  const mixed = philox(halves, [0x3ec8f720, 0x02461e29]);
  for (let group = 0; group < count; group++) yield philox([group, 0, mixed[2], mixed[3]], mixed);
}

// `length` uniform numbers in [0, 1).
export function uniforms(seeds, length) {
  const numbers = [];
  for (const four of words(seeds, Math.ceil(length / 4))) numbers.push(...four.map((word) => (word & 0x7fffff) / 2 ** 23));
  return numbers.slice(0, length);
}

// `length` standard normal numbers (Box and Muller 1958), in float32 as in Python.
export function normals(seeds, length) {
  const { fround } = Math;
  const numbers = [];
  for (const four of words(seeds, Math.ceil(length / 4))) {
    const uniform = four.map((word) => (word & 0x7fffff) / 2 ** 23);
    for (const [first, second] of [uniform.slice(0, 2), uniform.slice(2)]) {
      const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(Math.max(first, fround(1e-7)))))));
      const angle = fround(fround(2 * Math.PI) * second);
      numbers.push(fround(Math.sin(angle)) * radius, fround(Math.cos(angle)) * radius);
    }
  }
  return Float32Array.from(numbers.slice(0, length));
}

// One index, with probabilities that are proportional to the weights.
export function choice(seeds, weights) {
  const [[first, second]] = words(seeds, 1);
  const uniform = ((first & 0xfffff) * 2 ** 32 + second) / 2 ** 52;
  const largest = Math.max(...weights);
  let sum = 0;
  const sums = Array.from(weights, (weight) => (sum += weight / largest));
  return Math.min(sums.findIndex((value) => value > uniform * sum), sums.length - 1);
}
