// The map of codes, and what the decoder makes of the place pointed at. Everything shown follows from `state`.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const [codes, points, limits] = [data.codes, data.points, data.limits].map(unpack);
const [count, dims] = data.codes.shape;
const [centre, spread, activity] = [data.centre, data.spread, data.activity].map(unpack);
const labels = data.label ? unpack(data.label) : new Int32Array(count);
const shape = Array.from(unpack(data.shape));
const program = JSON.parse(data.program);
const run = compile(program, unpack(data.constants));
const originalOf = data.sprite ? await openSprite(data.sprite) : null;
const series = data.series ? unpack(data.series) : null;

const map = element("map");
const pen = map.getContext("2d");
const state = {
  view: null, // {x, y, scale}: the plane's point in the middle, and pixels a unit
  code: Array.from(centre), // what is decoded
  chosen: -1, // the example shown
  pinned: false,
  hidden: new Set(), // classes
  label: 0, // of a conditional decoder
  path: null, // [code, code]
  playing: 0,
};

const codeOf = (i) => Array.from(codes.subarray(i * dims, (i + 1) * dims));
const decode = (code, label) => run(code, Array.from({ length: program.inputs[1][0] }, (_, k) => +(k === label)));

// --- the plane ---

function extent() {
  const reach = [0, 1].map((axis) => {
    const values = Array.from({ length: count }, (_, i) => points[2 * i + axis]).sort((a, b) => a - b);
    return count ? [values[Math.floor(count * 0.001)], values[Math.ceil(count * 0.999) - 1]] : [-3, 3];
  });
  const widest = Math.max(...reach.map(([low, high]) => high - low), 1e-6);
  return { x: (reach[0][0] + reach[0][1]) / 2, y: (reach[1][0] + reach[1][1]) / 2, scale: (0.9 * map.clientWidth) / widest };
}

const toScreen = (x, y) => [map.clientWidth / 2 + (x - state.view.x) * state.view.scale, map.clientHeight / 2 - (y - state.view.y) * state.view.scale];
const toPlane = (x, y) => [state.view.x + (x - map.clientWidth / 2) / state.view.scale, state.view.y - (y - map.clientHeight / 2) / state.view.scale];

function nearest(x, y, reach = 12) {
  let [best, least] = [-1, reach * reach];
  for (let i = 0; i < count; i++) {
    if (state.hidden.has(labels[i])) continue;
    const [u, v] = toScreen(points[2 * i], points[2 * i + 1]);
    const distance = (u - x) ** 2 + (v - y) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

// What a point of the plane stands for: itself, or the code of the example next to it.
function codeAt(x, y) {
  if (dims === 2) return toPlane(x, y);
  const i = nearest(x, y, Infinity);
  return i < 0 ? null : codeOf(i);
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const colourOf = (label) => (data.colours[label] === "#000000" ? css("--ink") : data.colours[label]);

function draw() {
  const ratio = devicePixelRatio;
  const [width, height] = [map.clientWidth, map.clientHeight];
  Object.assign(map, { width: width * ratio, height: height * ratio });
  pen.scale(ratio, ratio);
  const palette = data.colours.map((_, label) => colourOf(label));
  const side = count > 2000 ? 2.5 : 4;
  for (let i = 0; i < count; i++) {
    if (state.hidden.has(labels[i])) continue;
    const [x, y] = toScreen(points[2 * i], points[2 * i + 1]);
    pen.fillStyle = palette[Math.max(labels[i], 0)];
    pen.fillRect(x - side / 2, y - side / 2, side, side);
  }
  pen.strokeStyle = pen.fillStyle = css("--ink");
  const ring = (x, y, radius) => { pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.stroke(); };
  if (state.chosen >= 0) ring(...toScreen(points[2 * state.chosen], points[2 * state.chosen + 1]), state.pinned ? 7 : 5);
  if (dims === 2) ring(...toScreen(...state.code), 2);
  if (state.path && dims === 2) {
    pen.beginPath();
    state.path.forEach((code) => pen.lineTo(...toScreen(...code)));
    pen.stroke();
  }
  pen.font = "12px system-ui";
  pen.fillText(data.axes[0], width - 8 - pen.measureText(data.axes[0]).width, height - 8);
  pen.fillText(data.axes[1], 8, 16);
}

// --- what is shown beside it ---

function show() {
  paint(element("decoded"), decode(state.code, state.label), shape, limits);
  const i = state.chosen;
  if (i >= 0) {
    if (originalOf) paintImage(element("example"), originalOf(i));
    else paint(element("example"), series.subarray(i * series.length / count, (i + 1) * series.length / count), shape, limits);
    paint(element("reconstruction"), decode(codeOf(i), labels[i]), shape, limits);
  }
  const named = i >= 0 && data.classes ? `, class ${data.classes[labels[i]] ?? "unknown"}` : "";
  const place = dims === 2 ? `code (${state.code.map((value) => value.toFixed(2)).join(", ")})` : "";
  element("status").textContent = [place, i >= 0 ? `example ${i}${named}` : ""].filter(Boolean).join("; ") || "\u00a0";
  document.querySelectorAll("input[data-dimension]").forEach((slider) => {
    slider.value = state.code[slider.dataset.dimension];
    slider.nextElementSibling.value = state.code[slider.dataset.dimension].toFixed(2);
  });
  draw();
}

function point(x, y) {
  if (state.pinned) return;
  state.chosen = nearest(x, y);
  if (dims === 2) state.code = toPlane(x, y);
  else if (state.chosen >= 0) state.code = codeOf(state.chosen);
  show();
}

function pick(i) {
  Object.assign(state, { chosen: i, pinned: true, code: codeOf(i) });
  if (element("class") && labels[i] >= 0) element("class").value = state.label = labels[i];
  show();
}

function zoom(factor, x = map.clientWidth / 2, y = map.clientHeight / 2) {
  const [before] = [toPlane(x, y)];
  state.view.scale *= factor;
  const after = toPlane(x, y);
  state.view.x += before[0] - after[0];
  state.view.y += before[1] - after[1];
  draw();
}

function play() {
  if (!state.path) return;
  cancelAnimationFrame(state.playing);
  const [from, to] = state.path;
  let start;
  const step = (now) => {
    start ??= now;
    const t = Math.min(1, (now - start) / 3000);
    state.code = from.map((value, d) => value + t * (to[d] - value));
    show();
    if (t < 1) state.playing = requestAnimationFrame(step);
  };
  state.playing = requestAnimationFrame(step);
}

// --- hands ---

let grip = null; // where the pointer went down, and what it does
map.addEventListener("pointerdown", (event) => {
  map.setPointerCapture(event.pointerId);
  const drawing = element("path").getAttribute("aria-pressed") === "true";
  grip = { x: event.offsetX, y: event.offsetY, view: { ...state.view }, drawing, moved: false };
});
map.addEventListener("pointermove", (event) => {
  if (!grip) return point(event.offsetX, event.offsetY);
  const [dx, dy] = [event.offsetX - grip.x, event.offsetY - grip.y];
  grip.moved ||= Math.hypot(dx, dy) > 4;
  if (!grip.moved) return;
  if (grip.drawing) state.path = [codeAt(grip.x, grip.y), codeAt(event.offsetX, event.offsetY)];
  else Object.assign(state.view, { x: grip.view.x - dx / state.view.scale, y: grip.view.y + dy / state.view.scale });
  draw();
});
map.addEventListener("pointerup", (event) => {
  const i = nearest(event.offsetX, event.offsetY);
  if (grip?.drawing && grip.moved) {
    element("play").disabled = false;
    element("path").setAttribute("aria-pressed", "false");
    play();
  } else if (grip && !grip.moved) {
    if (i >= 0 && !(state.pinned && state.chosen === i)) pick(i);
    else state.pinned = false;
    show();
  }
  grip = null;
});
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
}, { passive: false });
map.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] }[event.key];
  if (step) {
    cursor = [cursor[0] + step[0], cursor[1] + step[1]];
    state.pinned = false;
    point(...cursor);
  } else if (event.key === "+") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "Enter" && state.chosen >= 0) pick(state.chosen);
  else if (event.key === "Escape") { state.pinned = false; show(); }
  else if (event.key === " ") play();
  else return;
  event.preventDefault();
});
let cursor = [0, 0];
map.addEventListener("focus", () => { cursor = [map.clientWidth / 2, map.clientHeight / 2]; });
element("closer").onclick = () => zoom(1.25);
element("farther").onclick = () => zoom(0.8);
element("whole").onclick = () => { state.view = extent(); draw(); };
element("path").onclick = ({ target }) => target.setAttribute("aria-pressed", target.getAttribute("aria-pressed") === "false");
element("play").onclick = play;
element("centre").onclick = () => { state.code = Array.from(centre); show(); };
element("random").onclick = () => {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  state.code = Array.from(centre, (value, d) => value + spread[d] * normal());
  show();
};
if (element("class")) element("class").onchange = ({ target }) => { state.label = +target.value; show(); };

function buildLegend() {
  (data.classes ?? []).forEach((name, label) => {
    const [line, box, dot] = ["label", "input", "i"].map((tag) => document.createElement(tag));
    Object.assign(box, { type: "checkbox", checked: true });
    box.onchange = () => { state.hidden[box.checked ? "delete" : "add"](label); draw(); };
    dot.style.background = colourOf(label);
    line.append(box, dot, name);
    element("legend").append(line);
  });
}

function buildSliders() {
  if (dims === 2) return;
  const order = Array.from(activity.keys()).sort((a, b) => activity[b] - activity[a]);
  const folded = order.filter((d) => activity[d] < data.inactive);
  for (const d of order) {
    const [line, slider, value] = ["label", "input", "output"].map((tag) => document.createElement(tag));
    const reach = 3 * Math.max(spread[d], 0.5);
    Object.assign(slider, { type: "range", min: centre[d] - reach, max: centre[d] + reach, step: "any" });
    slider.dataset.dimension = d;
    slider.oninput = () => { state.code[d] = +slider.value; show(); };
    line.append(`z${d}`, slider, value);
    (folded.includes(d) ? element("folded").querySelector("div") : element("sliders")).append(line);
  }
  element("folded").hidden = !folded.length;
  element("folded").querySelector("summary").textContent = `${folded.length} inactive dimensions`;
}

buildLegend();
buildSliders();
state.view = extent();
new ResizeObserver(() => draw()).observe(map);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
show();
window.explorer = { state, decode, pick, toScreen, codeOf, count }; // for the console, and for tests
