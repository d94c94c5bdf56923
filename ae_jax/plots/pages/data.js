// Read what ae_jax/plots/pages packs: {type, shape, base64} as typed arrays, sprites as pixels.

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;

function fromHalf(half) {
  const [sign, exponent, fraction] = [half & 0x8000 ? -1 : 1, (half >> 10) & 31, half & 1023];
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * 2 ** (exponent - 25) * (1024 + fraction);
}

const readers = {
  uint8: (buffer) => new Uint8Array(buffer),
  float16: (buffer) => Float32Array.from(new Uint16Array(buffer), fromHalf),
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  int64: (buffer) => Float64Array.from(new BigInt64Array(buffer), Number),
};

export const unpack = (packed) => readers[packed.type](bytes(packed.base64));

// Return the function i -> ImageData of picture i of a sprite.
export async function openSprite({ png, across, height, width }) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return (i) => context.getImageData((i % across) * width, Math.floor(i / across) * height, width, height);
}
