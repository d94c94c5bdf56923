// Reads what ae_jax/pages packed: {type, shape, base64} into typed arrays, sprites into pixels.

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;

function fromHalf(half) {
  const [sign, exponent, fraction] = [half & 0x8000 ? -1 : 1, (half >> 10) & 31, half & 1023];
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * 2 ** (exponent - 25) * (1024 + fraction);
}

const readers = {
  float16: (buffer) => Float32Array.from(new Uint16Array(buffer), fromHalf),
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  int64: (buffer) => Float64Array.from(new BigInt64Array(buffer), Number),
};

export const unpack = (packed) => readers[packed.type](bytes(packed.base64));

// The function i -> ImageData of a sprite's picture number i.
export async function openSprite({ png, across, height, width }) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return (i) => context.getImageData((i % across) * width, Math.floor(i / across) * height, width, height);
}

// Values in [low, high] of an example [H, W, C], [T] or [T, F], drawn into a canvas.
export function paint(canvas, values, shape, [low, high]) {
  const unit = (value) => Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
  if (shape.length === 3) {
    const [height, width, channels] = shape;
    const picture = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const pixel = Array.from(values.subarray(i * channels, (i + 1) * channels), (value) => 255 * unit(value));
      const grey = pixel.reduce((a, b) => a + b, 0) / channels;
      picture.data.set(channels === 3 ? [...pixel, 255] : [grey, grey, grey, 255], 4 * i);
    }
    paintImage(canvas, picture);
    return;
  }
  Object.assign(canvas, { width: 320, height: 200 });
  const context = canvas.getContext("2d");
  const [steps, features] = [shape[0], shape[1] ?? 1];
  context.strokeStyle = getComputedStyle(canvas).color;
  for (let f = 0; f < features; f++) {
    context.beginPath();
    for (let t = 0; t < steps; t++) context.lineTo((320 * t) / (steps - 1), 200 * (1 - unit(values[t * features + f])));
    context.stroke();
  }
}

export function paintImage(canvas, picture) {
  Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
