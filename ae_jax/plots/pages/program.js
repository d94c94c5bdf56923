// Carry out the programs that ae_jax/plots/page_program.py writes. A tensor is {shape, data: Float32Array}, row-major.

const size = (shape) => shape.reduce((a, b) => a * b, 1);

const stridesOf = (shape) => {
  const strides = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
};

// Return a tensor of this shape whose element at index i is source[offset + sum of i * strides].
function gather(source, shape, strides, offset = 0) {
  const own = stridesOf(shape);
  if (source.length === size(shape) && strides.every((stride, axis) => stride === own[axis])) return { shape, data: source };
  const data = new Float32Array(size(shape));
  const index = new Array(shape.length).fill(0);
  let from = offset;
  for (let to = 0; to < data.length; to++) {
    data[to] = source[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { shape, data };
}

// Write `part` into `whole`: the element at index i of the part to place offset + sum of i * strides.
function scatter(whole, part, strides, offset, inside = () => true) {
  const index = new Array(part.shape.length).fill(0);
  let to = offset;
  for (let from = 0; from < part.data.length; from++) {
    if (inside(index)) whole.data[to] = part.data[from];
    for (let axis = part.shape.length - 1; axis >= 0; axis--) {
      to += strides[axis];
      if (++index[axis] < part.shape[axis]) break;
      to -= strides[axis] * part.shape[axis];
      index[axis] = 0;
    }
  }
}

function erf(x) {
  // Abramowitz and Stegun 1964, equation 7.1.26, with an error of at most 1.5e-7.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

const unary = {
  neg: (x) => -x, exp: Math.exp, log: Math.log, log1p: Math.log1p, tanh: Math.tanh, sqrt: Math.sqrt, abs: Math.abs, erf,
  logistic: (x) => 1 / (1 + Math.exp(-x)), rsqrt: (x) => 1 / Math.sqrt(x), square: (x) => x * x, truncate: Math.trunc,
};

const binary = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b, max: Math.max, min: Math.min,
  eq: (a, b) => +(a === b), gt: (a, b) => +(a > b), ge: (a, b) => +(a >= b), lt: (a, b) => +(a < b), le: (a, b) => +(a <= b),
};

// Apply f to pairs of elements. One side may be a scalar.
function zip(f, a, b, shape) {
  const data = new Float32Array(size(shape));
  const [stepA, stepB] = [+(a.data.length > 1), +(b.data.length > 1)];
  for (let i = 0; i < data.length; i++) data[i] = f(a.data[i * stepA], b.data[i * stepB]);
  return { shape, data };
}

// Apply f to the values along `axes`, at each place of the other axes.
function reduce(x, axes, shape, f) {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const strides = stridesOf(x.shape);
  const moved = gather(x.data, order.map((axis) => x.shape[axis]), order.map((axis) => strides[axis])).data;
  const data = new Float32Array(size(shape));
  const inner = x.data.length / data.length;
  for (let i = 0; i < data.length; i++) data[i] = f(moved.subarray(i * inner, (i + 1) * inner));
  return { shape, data };
}

const reductions = {
  reduce_sum: (values) => values.reduce((a, b) => a + b, 0),
  reduce_max: (values) => values.reduce((a, b) => Math.max(a, b), -Infinity),
  argmax: (values) => values.indexOf(reductions.reduce_max(values)),
};

// Multiply a [batch, rows, inner] and b [batch, inner, columns], whose axes may come in another order.
function dot(a, b, [[contractA, contractB], [batchA, batchB]], shape) {
  const free = (x, used) => x.shape.map((_, axis) => axis).filter((axis) => !used.includes(axis));
  const move = (x, order) => {
    const strides = stridesOf(x.shape);
    return gather(x.data, order.map((axis) => x.shape[axis]), order.map((axis) => strides[axis])).data;
  };
  const [freeA, freeB] = [free(a, [...contractA, ...batchA]), free(b, [...contractB, ...batchB])];
  const left = move(a, [...batchA, ...freeA, ...contractA]);
  const right = move(b, [...batchB, ...contractB, ...freeB]);
  const count = (x, axes) => size(axes.map((axis) => x.shape[axis]));
  const [batches, rows, inner, columns] = [count(a, batchA), count(a, freeA), count(a, contractA), count(b, freeB)];
  const data = new Float32Array(size(shape));
  for (let n = 0; n < batches; n++)
    for (let i = 0; i < rows; i++)
      for (let k = 0; k < inner; k++) {
        const value = left[(n * rows + i) * inner + k];
        if (value === 0) continue; // as are half of the outputs of a rectifier
        const [to, from] = [(n * rows + i) * columns, (n * inner + k) * columns];
        for (let j = 0; j < columns; j++) data[to + j] += value * right[from + j];
      }
  return { shape, data };
}

// Convolve x [N, H, W, C] with a kernel [kh, kw, C, O]. A dilated x has zeros between its pixels, as a transposed
// convolution has; they are skipped.
function convolve(x, kernel, { window_strides: stride, padding, lhs_dilation: spread, rhs_dilation: reach, shape }) {
  const [[count, height, width, channels], [kh, kw]] = [x.shape, kernel.shape];
  const [, rows, columns, outputs] = shape;
  const data = new Float32Array(size(shape));
  for (let n = 0; n < count; n++)
    for (let i = 0; i < rows; i++)
      for (let p = 0; p < kh; p++) {
        const y = i * stride[0] + p * reach[0] - padding[0][0];
        if (y < 0 || y % spread[0] || y / spread[0] >= height) continue;
        for (let j = 0; j < columns; j++)
          for (let q = 0; q < kw; q++) {
            const z = j * stride[1] + q * reach[1] - padding[1][0];
            if (z < 0 || z % spread[1] || z / spread[1] >= width) continue;
            const from = ((n * height + y / spread[0]) * width + z / spread[1]) * channels;
            const to = ((n * rows + i) * columns + j) * outputs;
            for (let c = 0; c < channels; c++) {
              const value = x.data[from + c];
              if (value === 0) continue;
              const weight = ((p * kw + q) * channels + c) * outputs;
              for (let o = 0; o < outputs; o++) data[to + o] += value * kernel.data[weight + o];
            }
          }
      }
  return { shape, data };
}

function pad(x, value, config, shape) {
  const whole = { shape, data: new Float32Array(size(shape)).fill(value) };
  const strides = stridesOf(shape);
  const place = (index, axis) => config[axis][0] + index * (config[axis][2] + 1);
  const inside = (index) => index.every((i, axis) => place(i, axis) >= 0 && place(i, axis) < shape[axis]);
  const offset = strides.reduce((sum, stride, axis) => sum + stride * config[axis][0], 0);
  scatter(whole, x, strides.map((stride, axis) => stride * (config[axis][2] + 1)), offset, inside);
  return whole;
}

function slice(x, starts, steps, shape) {
  const strides = stridesOf(x.shape);
  const offset = strides.reduce((sum, stride, axis) => sum + stride * starts[axis], 0);
  return gather(x.data, shape, strides.map((stride, axis) => stride * (steps ? steps[axis] : 1)), offset);
}

function concatenate(parts, dimension, shape) {
  const whole = { shape, data: new Float32Array(size(shape)) };
  const strides = stridesOf(shape);
  let start = 0;
  for (const part of parts) {
    scatter(whole, part, strides, start * strides[dimension]);
    start += part.shape[dimension];
  }
  return whole;
}

function broadcast(x, axes, shape) {
  const own = stridesOf(x.shape);
  const strides = new Array(shape.length).fill(0);
  axes.forEach((axis, i) => { if (x.shape[i] > 1) strides[axis] = own[i]; });
  return gather(x.data, shape, strides);
}

function operate(one, values) {
  const [a, b] = values;
  const shape = one.shape;
  if (one.op in unary) return { shape, data: a.data.map(unary[one.op]) };
  if (one.op in binary) return zip(binary[one.op], a, b, shape);
  if (one.op in reductions) return reduce(a, one.axes, shape, reductions[one.op]);
  switch (one.op) {
    case "integer_pow": return { shape, data: a.data.map((x) => x ** one.y) };
    case "reshape": return { shape, data: a.data };
    case "select_n": return { shape, data: values[1].data.map((x, i) => values[1 + a.data[a.data.length > 1 ? i : 0]].data[i]) };
    case "broadcast_in_dim": return broadcast(a, one.broadcast_dimensions, shape);
    case "transpose": return gather(a.data, shape, one.permutation.map((axis) => stridesOf(a.shape)[axis]));
    case "concatenate": return concatenate(values, one.dimension, shape);
    case "slice": return slice(a, one.start_indices, one.strides, shape);
    case "pad": return pad(a, b.data[0], one.padding_config, shape);
    case "dot_general": return dot(a, b, one.dimension_numbers, shape);
    case "conv_general_dilated": return convolve(a, b, one);
    default: throw new Error(`no operation ${one.op}`);
  }
}

// Return the function (...inputs: arrays of numbers) -> Float32Array of a program and its concatenated constants.
export function compile(program, constants) {
  let offset = 0;
  const fixed = program.constants.map((shape) => {
    const data = constants.subarray(offset, offset + size(shape));
    offset += data.length;
    return { shape, data };
  });
  return (...inputs) => {
    const values = inputs.map((data, i) => ({ shape: program.inputs[i], data: Float32Array.from(data) }));
    values.push(...fixed);
    for (const one of program.operations) values.push(operate(one, one.in.map((i) => values[i])));
    return values[values.length - 1].data;
  };
}
