// Pictures on canvases, and long work in pieces.

import { pixels } from "./model.js";

export const element = (id) => document.getElementById(id);

// Paint floats in [-1, 1] of the shape (height, width, channels).
export function paint(canvas, picture, [height, width, channels], left = 0, top = 0) {
  if (!left && !top && canvas.dataset.tiles === undefined && (canvas.width !== width || canvas.height !== height)) {
    canvas.width = width;
    canvas.height = height;
  }
  canvas.getContext("2d").putImageData(new ImageData(pixels(picture, height * width, channels), width, height), left, top);
}

// A canvas for `columns` times `rows` pictures.
export function tiled(canvas, [height, width], columns, rows) {
  canvas.dataset.tiles = "";
  canvas.width = columns * width;
  canvas.height = rows * height;
}

// The next free moment: between two of them, the page answers.
export const moment = () => new Promise((resolve) => { setTimeout(resolve); });

// Runs the function of each new call a little after the calls end; a job stops where `stale()` is true.
export function settled(work, wait = 120) {
  let turn = 0;
  let timer = 0;
  return () => {
    turn += 1;
    const mine = turn;
    clearTimeout(timer);
    timer = setTimeout(() => work(() => mine !== turn), wait);
  };
}

// The mean of codes with these weights, as far from the middle of all codes as they are: without it, mixtures of several
// pictures look alike.
export function mixed(codes, weights, middle) {
  const length = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0));
  return Float32Array.from(middle, (mean, index) => {
    const sum = codes.reduce((total, z, one) => total + weights[one] * (z[index] - mean), 0);
    return mean + sum / length;
  });
}
