// A picture of any size as the encoder takes it: the central square, bicubic with antialiasing, as the signature encode_uint8.

const RADIUS = 2;

// the cubic kernel of Keys 1981 with a = -0.5
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

// For each new pixel: the first old one that it depends on, and the weights of that and the following ones.
function weights(from, to) {
  const scale = from / to;
  const wide = Math.max(scale, 1);
  return Array.from({ length: to }, (_, index) => {
    const middle = (index + 0.5) * scale;
    const first = Math.max(Math.ceil(middle - RADIUS * wide - 0.5), 0);
    const last = Math.min(Math.floor(middle + RADIUS * wide - 0.5), from - 1);
    const found = Array.from({ length: last - first + 1 }, (_, step) => cubic((first + step + 0.5 - middle) / wide));
    const sum = found.reduce((total, one) => total + one, 0);
    return [first, found.map((one) => one / sum)];
  });
}

// pixels: RGBA bytes (side, side). Returns floats in [-1, 1], (height, width, channels); grey is Pillow's mode L.
export function resized(pixels, side, [height, width, channels]) {
  const rows = weights(side, height);
  const columns = weights(side, width);
  const grey = (at) => Math.floor((pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 32768) / 65536);
  const narrow = new Float32Array(side * width * channels);
  for (let y = 0, to = 0; y < side; y++) {
    for (const [first, shares] of columns) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let step = 0; step < shares.length; step++) {
          const at = (y * side + first + step) * 4;
          sum += shares[step] * (channels === 1 ? grey(at) : pixels[at + channel]);
        }
        narrow[to++] = sum;
      }
    }
  }
  const found = new Float32Array(height * width * channels);
  const run = width * channels;
  rows.forEach(([first, shares], y) => {
    for (let x = 0; x < run; x++) {
      let sum = 0;
      for (let step = 0; step < shares.length; step++) sum += shares[step] * narrow[(first + step) * run + x];
      found[y * run + x] = Math.min(Math.max(Math.round(sum), 0), 255) / 127.5 - 1;
    }
  });
  return found;
}
