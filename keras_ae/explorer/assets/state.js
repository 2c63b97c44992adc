// What the page shows: a code, and how far it was moved along the directions.

// numbers of a code in a link are whole multiples of this
const GRAIN = 1 / 2048;
const MOST_IN_LINK = 4096;

// Codes as text: 16 bits for each number.
export function packed(z) {
  const bytes = new Uint8Array(Int16Array.from(z, (value) => Math.max(-32768, Math.min(32767, Math.round(value / GRAIN)))).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function unpacked(text, length) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  if (bytes.length !== 2 * length) throw new RangeError("a code of another length");
  return Float32Array.from(new Int16Array(bytes.buffer), (value) => value * GRAIN);
}

export class State extends EventTarget {
  constructor(model) {
    super();
    Object.assign(this, { model, seed: 0, number: 0, temperature: 1, label: 0 });
    this.moves = new Float32Array(model.ways.length);
    this.base = null;
    this.drawn = true;
  }

  // The code that is shown.
  get z() {
    const z = Float32Array.from(this.base);
    this.moves.forEach((move, index) => {
      if (move) this.model.ways[index].forEach((step, place) => { z[place] += move * step; });
    });
    return z;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  // Picture `number` of a seed's sequence.
  draw(number = this.number, seed = this.seed) {
    Object.assign(this, { number, seed, drawn: true });
    this.base = this.model.draw(seed, number, this.temperature, this.label);
    this.moves.fill(0);
    this.changed();
  }

  // A code from elsewhere, such as a photo's.
  show(z) {
    Object.assign(this, { base: z, drawn: false });
    this.moves.fill(0);
    this.changed();
  }

  move(index, amount) {
    this.moves[index] = amount;
    this.changed();
  }

  set(values) {
    Object.assign(this, values);
    if (this.drawn) {
      this.base = this.model.draw(this.seed, this.number, this.temperature, this.label);
    }
    this.changed();
  }

  // The state as the part of a link after "#"; "" where a code is too long for one.
  get link() {
    const found = new URLSearchParams();
    if (this.drawn) {
      found.set("seed", this.seed);
      found.set("picture", this.number);
      if (this.temperature !== 1) found.set("temperature", this.temperature);
    } else if (this.base.length <= MOST_IN_LINK) {
      found.set("code", packed(this.base));
    } else {
      return "";
    }
    if (this.model.labels.length) found.set("label", this.label);
    if (this.moves.some((move) => move)) found.set("moves", Array.from(this.moves, (move) => +move.toFixed(2)).join("_"));
    return found.toString();
  }

  // Take the state of a link. Throws RangeError where it does not fit this model.
  follow(link) {
    const given = new URLSearchParams(link);
    const whole = (name, most) => {
      const value = Number(given.get(name) ?? 0);
      if (!Number.isInteger(value) || value < 0 || value > most) throw new RangeError(`${name} ${given.get(name)}`);
      return value;
    };
    const temperature = Number(given.get("temperature") ?? 1);
    if (!(temperature >= 0 && temperature <= 1.5)) throw new RangeError(`temperature ${given.get("temperature")}`);
    const label = whole("label", Math.max(this.model.labels.length - 1, 0));
    const moves = (given.get("moves") ?? "").split("_").filter(Boolean).map(Number);
    if (moves.length > this.moves.length || !moves.every((move) => Math.abs(move) <= 10)) throw new RangeError("moves");
    const code = given.has("code") ? unpacked(given.get("code"), this.model.latentDim) : null;
    Object.assign(this, { seed: whole("seed", 2 ** 31 - 1), number: whole("picture", 1e9), temperature, label });
    if (code) this.show(code);
    else this.draw();
    this.moves.set(moves);
    this.changed();
  }
}
