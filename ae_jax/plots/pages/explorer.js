// The explorer: a map of latents, and the decoder's picture of the place pointed at. Everything shown follows from
// `state`.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const read = (name) => unpack(data[name]);
const [codes, numbers, centre, spread, activity, limits] = ["codes", "number", "centre", "spread", "activity", "limits"].map(read);
const [count, dims] = data.codes.shape;
const labels = data.label ? read("label") : new Int32Array(count);
const original = count ? await openGallery(data.originals, data.kind, limits) : null;
const packed = data.reconstructions ? await openGallery(data.reconstructions, data.kind, limits) : null;
const decode = await openDecoder(data, limits);

const state = {
  code: Array.from(centre), // the latent that is decoded
  chosen: -1, // the example that is shown
  pinned: false,
  hidden: new Set(), // the classes that are not on the map
  label: 0, // the class that a conditional decoder is given
  begun: null, // the place where the keyboard began a path
  path: null, // {places: [[x, y], [x, y]], codes: [code, code]}
  playing: 0,
};

const codeOf = (i) => Array.from(codes.subarray(i * dims, (i + 1) * dims));
// The last reconstruction is kept, because to decode it again at each move of the pointer would double the work.
const last = { i: -1, picture: null };

function reconstruction(i) {
  if (packed) return packed(i);
  if (last.i !== i) Object.assign(last, { i, picture: decode(codeOf(i), data.conditional ? labels[i] : 0) });
  return last.picture;
}

const shown = {
  decoded: () => decode && decode(state.code, state.label),
  example: () => state.chosen >= 0 && original(state.chosen),
  reconstruction: () => state.chosen >= 0 && reconstruction(state.chosen),
};

function show() {
  document.querySelectorAll("figure canvas").forEach((canvas) => paint(canvas, shown[canvas.id]()));
  const i = state.chosen;
  const named = i >= 0 && data.classes ? `, class ${data.classes[labels[i]] ?? "unknown"}` : "";
  const place = decode && dims === 2 ? `latent (${state.code.map((value) => value.toFixed(2)).join(", ")})` : "";
  const said = [place, i >= 0 ? `example ${numbers[i]}${named}${state.pinned ? ", pinned" : ""}` : ""];
  element("status").textContent = said.filter(Boolean).join("; ") || "\u00a0";
  document.querySelectorAll("input[data-dimension]").forEach((slider) => {
    slider.value = state.code[slider.dataset.dimension];
    slider.nextElementSibling.value = state.code[slider.dataset.dimension].toFixed(2);
  });
  plane.draw();
}

// --- the map ---

const colourOf = (label) => (data.colours[label] === "#000000" ? css("--ink") : data.colours[label]);

// Return the latent of a place: the place itself in a two-dimensional latent space, else that of the nearest example.
function codeAt(place) {
  if (dims === 2) return place;
  const i = plane.nearest(place, Infinity);
  return i < 0 ? state.code : codeOf(i);
}

function hover(place) {
  if (state.pinned) return;
  const before = state.chosen;
  state.chosen = plane.nearest(place);
  if (dims !== 2 && state.chosen === before) return; // nothing else depends on the place
  if (dims === 2 || state.chosen >= 0) state.code = codeAt(place);
  show();
}

function pick(i) {
  Object.assign(state, { chosen: i, pinned: true, code: codeOf(i) });
  if (element("class") && labels[i] >= 0) element("class").value = state.label = labels[i];
  show();
}

function press(place) {
  const i = plane.nearest(place);
  if (i >= 0 && !(state.pinned && state.chosen === i)) return pick(i);
  state.pinned = false;
  hover(place);
}

function decorate(pen, toScreen) {
  const ring = (place, radius) => { pen.beginPath(); pen.arc(...toScreen(place), radius, 0, 7); pen.stroke(); };
  if (state.chosen >= 0) ring(points.subarray(2 * state.chosen, 2 * state.chosen + 2), state.pinned ? 7 : 5);
  if (decode && dims === 2) ring(state.code, 2);
  if (state.begun) ring(state.begun, 4);
  if (!state.path) return;
  pen.beginPath();
  state.path.places.forEach((place) => pen.lineTo(...toScreen(place)));
  pen.stroke();
}

function stroke(from, to, ended) {
  if (!decode) return;
  state.path = { places: [from, to], codes: [codeAt(from), codeAt(to)] };
  if (!ended) return plane.draw();
  draws(false);
  element("play").disabled = false;
  play();
}

function play() {
  if (!state.path) return;
  cancelAnimationFrame(state.playing);
  const [from, to] = state.path.codes;
  let start;
  const step = (now) => {
    start ??= now;
    const t = Math.min(1, (now - start) / 3000);
    state.code = from.map((value, d) => (1 - t) * value + t * to[d]);
    show();
    if (t < 1) state.playing = requestAnimationFrame(step);
  };
  state.playing = requestAnimationFrame(step);
}

function draws(on) {
  plane.draws = on;
  element("path").setAttribute("aria-pressed", on);
}

const points = read("points");
const plane = openPlane(element("map"), {
  points, axes: data.axes, decorate, hover, press, stroke,
  shown: (i) => !state.hidden.has(labels[i]),
  colours: () => {
    const palette = data.colours.map((_, label) => colourOf(label));
    return (i) => palette.at(labels[i]);
  },
});

element("map").addEventListener("keydown", (event) => {
  const place = plane.cursor;
  if (event.key === "Enter") press(place);
  else if (event.key === "Escape") { Object.assign(state, { pinned: false, begun: null }); show(); }
  else if (event.key === " ") play();
  else if (event.key.toLowerCase() === "p" && decode) {
    if (state.begun) stroke(state.begun, place, true);
    state.begun = state.begun ? null : place;
    plane.draw();
  } else return;
  event.preventDefault();
});

// --- buttons, sliders, and classes to hide ---

function on(id, event, act) {
  element(id)?.addEventListener(event, act);
}

on("closer", "click", () => plane.zoom(1.25));
on("farther", "click", () => plane.zoom(0.8));
on("whole", "click", plane.showAll);
on("path", "click", () => draws(!plane.draws));
on("play", "click", play);
on("centre", "click", () => { state.code = Array.from(centre); show(); });
on("random", "click", () => {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  state.code = Array.from(centre, (value, d) => value + spread[d] * normal());
  show();
});
on("class", "change", ({ target }) => { state.label = +target.value; show(); });
on("number", "change", ({ target }) => { const i = numbers.indexOf(+target.value); if (i >= 0) pick(i); });
document.querySelectorAll("[data-listen]").forEach((button) => {
  button.onclick = () => { const melody = shown[button.dataset.listen](); if (melody) listen(melody.values); };
});

(data.classes ?? []).forEach((name, label) => {
  const [line, box, dot] = ["label", "input", "i"].map((tag) => document.createElement(tag));
  Object.assign(box, { type: "checkbox", checked: true });
  box.onchange = () => { state.hidden[box.checked ? "delete" : "add"](label); plane.draw(); };
  dot.style.background = colourOf(label);
  line.append(box, dot, name);
  element("legend").append(line);
});

function buildSliders() {
  if (!decode || dims === 2) return;
  const order = Array.from(activity.keys()).sort((a, b) => activity[b] - activity[a]);
  const inactive = order.filter((d) => activity[d] < data.inactive);
  const folded = order.filter((d, place) => place >= 16 || inactive.includes(d)); // the most active stay visible
  for (const d of order) {
    const [line, name, slider, value] = ["label", "span", "input", "output"].map((tag) => document.createElement(tag));
    const reach = 3 * Math.max(spread[d], 0.5);
    Object.assign(slider, { type: "range", min: centre[d] - reach, max: centre[d] + reach, step: "any" });
    slider.dataset.dimension = d;
    slider.oninput = () => { state.code[d] = +slider.value; show(); };
    name.append(`z${d}`, data.measure === "kl" ? `: ${activity[d].toFixed(2)} nats` : "");
    line.append(name, slider, value);
    (folded.includes(d) ? element("folded").querySelector("div") : element("sliders")).append(line);
  }
  element("folded").hidden = !folded.length;
  element("folded").querySelector("summary").textContent = `${folded.length} more dimensions, ${inactive.length} inactive`;
}

buildSliders();
plane.showAll();
show();
// For the console and for tests.
window.explorer = { state, plane, decode, pick, codeOf, samplesOf, sound: () => playing };
