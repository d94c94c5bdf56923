// Melodies as notes, piano rolls and sound. A melody is a grid of one event for each sixteenth
// (ae_jax/data/music/events.py).

// The event note-off, the first onset, its pitch in MIDI, and sixteenths in a bar.
const [off, first, lowest, steps] = [1, 2, 21, 16];
// Seconds of a sixteenth, at 120 quarters a minute, and samples a second.
const [seconds, rate] = [0.125, 22050];

// Return [{onset, duration, pitch}], in sixteenths and MIDI pitches. A note without an end sounds to the end.
export function toNotes(events) {
  const changes = Array.from(events.keys()).filter((t) => events[t] >= off);
  return changes
    .map((t, i) => ({ onset: t, duration: (changes[i + 1] ?? events.length) - t, pitch: events[t] - first + lowest }))
    .filter(({ onset }) => events[onset] >= first);
}

export function paintRoll(canvas, events) {
  const notes = toNotes(events);
  const [low, high] = [Math.min(60, ...notes.map((n) => n.pitch)) - 2, Math.max(72, ...notes.map((n) => n.pitch)) + 2];
  Object.assign(canvas, { width: 640, height: 320 });
  const pen = canvas.getContext("2d");
  const [x, y] = [canvas.width / events.length, canvas.height / (high - low + 1)];
  pen.fillStyle = "#8888";
  for (let bar = steps; bar < events.length; bar += steps) pen.fillRect(bar * x, 0, 1, canvas.height);
  pen.fillStyle = css("--accent");
  for (const { onset, duration, pitch } of notes) pen.fillRect(onset * x, (high - pitch) * y, duration * x - 2, y);
}

// Synthesise samples in [-1, 1]. A note has three partials, which decay.
export function samplesOf(events) {
  const samples = new Float32Array(Math.ceil(events.length * seconds * rate));
  for (const { onset, duration, pitch } of toNotes(events)) {
    const turn = (2 * Math.PI * 440 * 2 ** ((pitch - 69) / 12)) / rate;
    const [start, length] = [Math.round(onset * seconds * rate), Math.floor(duration * seconds * rate)];
    for (let i = 0; i < length; i++) {
      const loudness = Math.min(1, i / 200, (length - i) / 800) * Math.exp(-i / rate);
      samples[start + i] = 0.4 * loudness * (Math.sin(turn * i) + 0.4 * Math.sin(2 * turn * i) + 0.2 * Math.sin(3 * turn * i));
    }
  }
  return samples;
}

let playing = null; // one melody sounds at a time

// Play a melody and return the node that does so.
export function listen(events) {
  playing ??= { context: new AudioContext() };
  playing.source?.stop();
  const { context } = playing;
  const samples = samplesOf(events);
  const source = new AudioBufferSourceNode(context, { buffer: context.createBuffer(1, samples.length, rate) });
  source.buffer.copyToChannel(samples, 0);
  source.connect(context.destination);
  context.resume();
  source.start();
  playing.source = source;
  return source;
}
