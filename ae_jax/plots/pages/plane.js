// A map of points on a canvas. A mouse, fingers or keys point at it, move it, zoom it and draw paths on it.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// Make a map.
// points: x0, y0, x1, y1, ...; shown(i): whether point i is visible; axes: the labels of x and y.
// colours(): the function i -> colour. It is called at every drawing, because colours differ in a dark scheme.
// hover(place), press(place) and stroke(from, to, ended), for a path, are called with places [x, y] of the plane.
// decorate(pen, toScreen) draws above the points.
export function openPlane(canvas, { points, shown, colours, axes, decorate, hover, press, stroke }) {
  const pen = canvas.getContext("2d");
  const count = points.length / 2;
  const view = { x: 0, y: 0, scale: 1 }; // the place in the middle, and pixels per unit
  const plane = { draws: false, cursor: [0, 0], draw, zoom, showAll, nearest, toScreen };
  const fingers = new Map(); // of pointers that are down: number -> [x, y] on the canvas
  let grip = null; // the gesture of these pointers: {does: "move" | "point" | "draw" | "pinch", from: [x, y], moved}

  function toScreen([x, y]) {
    return [canvas.clientWidth / 2 + (x - view.x) * view.scale, canvas.clientHeight / 2 - (y - view.y) * view.scale];
  }

  function toPlane([x, y]) {
    return [view.x + (x - canvas.clientWidth / 2) / view.scale, view.y - (y - canvas.clientHeight / 2) / view.scale];
  }

  // Return the visible point nearest to a place, at most `reach` pixels from it, or -1.
  function nearest([x, y], reach = 12) {
    let [best, least] = [-1, (reach / view.scale) ** 2];
    for (let i = 0; i < count; i++) {
      const distance = (points[2 * i] - x) ** 2 + (points[2 * i + 1] - y) ** 2;
      if (distance < least && shown(i)) [best, least] = [i, distance];
    }
    return best;
  }

  function draw() {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio });
    pen.scale(devicePixelRatio, devicePixelRatio);
    const [side, colourOf] = [count > 2000 ? 2.5 : 4, colours()];
    for (let i = 0; i < count; i++) {
      if (!shown(i)) continue;
      pen.fillStyle = colourOf(i);
      const x = width / 2 + (points[2 * i] - view.x) * view.scale;
      const y = height / 2 - (points[2 * i + 1] - view.y) * view.scale;
      pen.fillRect(x - side / 2, y - side / 2, side, side);
    }
    pen.strokeStyle = pen.fillStyle = css("--ink");
    pen.font = "12px system-ui";
    pen.fillText(axes[0], width - 8 - pen.measureText(axes[0]).width, height - 8);
    pen.fillText(axes[1], 8, 16);
    decorate(pen, toScreen);
  }

  // Show all points but a few outliers. Without points, show three standard deviations of N(0, I).
  function showAll() {
    const sides = [0, 1].map((axis) => {
      const values = Array.from({ length: count }, (_, i) => points[2 * i + axis]).sort((a, b) => a - b);
      return count ? [values[Math.floor(count * 0.001)], values[Math.ceil(count * 0.999) - 1]] : [-3, 3];
    });
    const widest = Math.max(...sides.map(([low, high]) => high - low));
    const [x, y] = sides.map(([low, high]) => (low + high) / 2);
    Object.assign(view, { x, y, scale: (0.9 * Math.min(canvas.clientWidth, canvas.clientHeight)) / (widest || 1) });
    plane.cursor = [x, y];
    draw();
  }

  function zoom(factor, at = [canvas.clientWidth / 2, canvas.clientHeight / 2]) {
    const before = toPlane(at);
    view.scale *= factor;
    const after = toPlane(at);
    view.x += before[0] - after[0];
    view.y += before[1] - after[1];
    draw();
  }

  function move(dx, dy) {
    view.x -= dx / view.scale;
    view.y += dy / view.scale;
    draw();
  }

  const away = ([x, y], [u, v]) => Math.hypot(x - u, y - v);
  const point = (place) => hover((plane.cursor = place));

  canvas.addEventListener("pointerdown", (event) => {
    const at = [event.offsetX, event.offsetY];
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at);
    const does = fingers.size > 1 ? "pinch" : plane.draws ? "draw" : event.pointerType === "touch" ? "point" : "move";
    grip = { does, from: at, moved: does === "pinch" };
  });

  canvas.addEventListener("pointermove", (event) => {
    const at = [event.offsetX, event.offsetY];
    if (!grip) return point(toPlane(at));
    const before = fingers.get(event.pointerId);
    if (!before) return;
    grip.moved ||= away(at, grip.from) > 4;
    fingers.set(event.pointerId, at);
    if (!grip.moved) return;
    if (grip.does === "move") move(at[0] - before[0], at[1] - before[1]);
    else if (grip.does === "point") point(toPlane(at));
    else if (grip.does === "draw") stroke(toPlane(grip.from), toPlane(at), false);
    else {
      const [a, b] = fingers.values();
      const other = a === at ? b : a;
      move((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
      if (other) zoom(away(at, other) / Math.max(away(before, other), 1), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
    }
  });

  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, (event) => {
      const at = [event.offsetX, event.offsetY];
      fingers.delete(event.pointerId);
      if (fingers.size || !grip) return;
      const { does, from, moved } = grip;
      grip = null;
      if (kind === "pointercancel") return;
      if (does === "draw" && moved) stroke(toPlane(from), toPlane(at), true);
      else if (!moved) press(toPlane(at));
    });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) point(plane.cursor.map((value, axis) => value + (10 / view.scale) * step[axis]));
    else if (event.key === "+") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else return;
    event.preventDefault();
  });

  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return plane;
}
