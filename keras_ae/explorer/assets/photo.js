// A picture of the visitor's: cut, made smaller, encoded, rebuilt.

import { element, paint } from "./drawing.js";

// pixels along the side of the part that is cut out; larger ones are first made smaller by the browser
const MOST = 2048;
const NUDGE = 0.05;

export function photo(state, open, say) {
  const { model } = state;
  const [seen, zoom] = [element("seen"), element("zoom")];
  let image = null;
  let middle = null; // of the part, as shares of the picture's width and height
  let rebuilt = null;

  const encode = () => {
    const square = Math.max(1, Math.round(Math.min(image.width, image.height) / Number(zoom.value)));
    const side = Math.min(square, MOST);
    const lengths = [image.width, image.height];
    middle = middle.map((share, axis) => {
      const margin = square / 2 / lengths[axis];
      return Math.min(Math.max(share, margin), 1 - margin);
    });
    const places = middle.map((share, axis) => Math.floor(share * lengths[axis] - square / 2 + 1e-6));
    const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
    // transparent pictures lie on black
    context.fillRect(0, 0, side, side);
    context.drawImage(image, ...places, square, square, 0, 0, side, side);
    const { seen: cut, z } = model.encodePixels(context.getImageData(0, 0, side, side).data, side, state.label);
    rebuilt = z;
    paint(seen, cut, model.inputShape);
    paint(element("rebuilt"), model.decode(z, state.label), model.shape);
    state.show(z);
  };
  const take = async (file) => {
    try {
      image = await createImageBitmap(file);
    } catch {
      say(`${file.name || "This"} is not a picture that the browser can open.`);
      return;
    }
    middle = [0.5, 0.5];
    zoom.value = 1;
    zoom.disabled = element("again").disabled = false;
    open("photo");
    encode();
    say(`Rebuilt from ${model.latentDim} numbers. Change it with the sliders, morph it, or use it in a sum.`);
  };
  // across and down: shares of the part that is shown
  const shift = (across, down) => {
    if (!image) return;
    const square = Math.min(image.width, image.height) / Number(zoom.value);
    middle = [middle[0] + (across * square) / image.width, middle[1] + (down * square) / image.height];
    encode();
  };
  zoom.oninput = encode;
  seen.onpointerdown = (event) => seen.setPointerCapture(event.pointerId);
  seen.onpointermove = (event) => {
    if (event.buttons) shift(-event.movementX / seen.clientWidth, -event.movementY / seen.clientHeight);
  };
  seen.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    shift(...step.map((way) => way * NUDGE));
  };

  const drop = element("drop");
  element("file").onchange = (event) => { if (event.target.files[0]) take(event.target.files[0]); };
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) take(file);
  });
  element("again").onclick = () => state.show(rebuilt);
  return () => {};
}
