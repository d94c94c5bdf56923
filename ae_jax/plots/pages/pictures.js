// Pictures of examples and of decoded latents. A picture is {values, shape, kind, limits}: the numbers of an example,
// row-major. Kind "events" is a melody; others are images [H, W, C], or series [T] or [T, F].

// Return the function i -> picture of packed examples, which are a sprite or an array.
export async function openGallery(packed, kind, limits) {
  if (packed.png) {
    const [at, shape] = [await openSprite(packed), [packed.height, packed.width, 3]];
    const opaque = (_, i) => i % 4 < 3;
    return (i) => ({ values: Float32Array.from(at(i).data.filter(opaque)), shape, kind, limits: [0, 255] });
  }
  const [values, [count, ...shape]] = [unpack(packed), packed.shape];
  const size = values.length / count;
  return (i) => ({ values: values.subarray(i * size, (i + 1) * size), shape, kind, limits });
}

// Return the function (latent, label) -> picture, or null for a page without a decoder. It is the decoder itself, or it
// interpolates a grid of latents that were decoded beforehand.
export async function openDecoder({ program, constants, shape, grid, places, across, kind }, limits) {
  if (program) {
    const { inputs } = JSON.parse(program);
    const run = compile(JSON.parse(program), unpack(constants));
    const decodedShape = Array.from(unpack(shape));
    const chosen = (label) => Array.from({ length: inputs[1][0] }, (_, k) => +(k === label));
    return (code, label) => ({ values: run(code, chosen(label)), shape: decodedShape, kind, limits });
  }
  if (!grid) return null;
  const [gallery, [low, high]] = [await openGallery(grid, kind, limits), unpack(places)];
  return (code, label) => {
    const [x, y] = code.map((z) => Math.min(1, Math.max(0, (z - low) / (high - low))) * (across - 1));
    const at = (column, row) => gallery((label * across + row) * across + column);
    if (kind === "events") return at(Math.round(x), Math.round(y));
    const [left, below] = [x, y].map((place) => Math.min(Math.floor(place), across - 2));
    const corners = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([i, j]) => at(left + i, below + j).values);
    const [u, v] = [x - left, y - below];
    const mixed = corners[0].map((a, i) => (1 - v) * ((1 - u) * a + u * corners[1][i]) + v * ((1 - u) * corners[2][i] + u * corners[3][i]));
    return { ...at(left, below), values: mixed };
  };
}

// Draw a picture into a canvas, or clear the canvas if there is none.
export function paint(canvas, picture) {
  if (!picture) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  else if (picture.kind === "events") paintRoll(canvas, picture.values);
  else if (picture.shape.length === 3) paintImage(canvas, picture);
  else paintLines(canvas, picture);
}

const unit = (value, [low, high]) => Math.min(1, Math.max(0, (value - low) / (high - low || 1)));

// An image whose channels are not red, green and blue is drawn as their mean.
function paintImage(canvas, { values, shape: [height, width, channels], limits }) {
  const picture = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    const pixel = Array.from(values.subarray(i * channels, (i + 1) * channels), (value) => 255 * unit(value, limits));
    const grey = pixel.reduce((a, b) => a + b, 0) / channels;
    picture.data.set(channels === 3 ? [...pixel, 255] : [grey, grey, grey, 255], 4 * i);
  }
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function paintLines(canvas, { values, shape: [steps, features = 1], limits }) {
  Object.assign(canvas, { width: 320, height: 200 });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = getComputedStyle(canvas).color;
  for (let f = 0; f < features; f++) {
    pen.beginPath();
    for (let t = 0; t < steps; t++) pen.lineTo((320 * t) / Math.max(steps - 1, 1), 200 * (1 - unit(values[t * features + f], limits)));
    pen.stroke();
  }
}
