// A table. Pressing the head of a column sorts by it, and the filter hides rows that lack one of its words.

const body = document.querySelector("#results tbody");
const rows = [...body.rows];
const heads = [...document.querySelectorAll("#results th")];

const compare = (a, b) => {
  const [x, y] = [a, b].map((text) => (text.trim() === "" ? NaN : Number(text)));
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return Number.isNaN(x) === Number.isNaN(y) ? a.localeCompare(b) : Number.isNaN(x) ? 1 : -1; // numbers come before text
};

heads.forEach((head, column) => {
  head.firstElementChild.onclick = () => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const text = (row) => row.cells[column].textContent;
    body.append(...rows.sort((a, b) => direction * compare(text(a), text(b))));
  };
});

document.getElementById("filter").oninput = ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
  rows.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
};
