/** Attribution against ablation, every row a dot. */

import { fixed } from "./columns.js";
import { h, number, put, set } from "./dom.js";
import { svg } from "./svg.js";

const WIDTH = 320;
const HEIGHT = 300;
const LEFT = 50;
const BOTTOM = HEIGHT - 42;
const RIGHT = WIDTH - 10;
const TOP = 8;
const NEAR = 14;
const FAR = 1.6;

/** @typedef {import("./ranking_wire.js").Ranking} Ranking */

/** Round numbers between two ends, at most seven. @param {number} low @param {number} high */
function ticks(low, high) {
  const raw = (high - low) / 6;
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = ten * /** @type {number} */ ([1, 2, 5, 10].find((one) => one * ten >= raw));
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(6)));
  return found;
}

/** @param {number} x @param {number} y @param {string} anchor @param {string} text @param {Record<string, string>} [more] */
const write = (x, y, anchor, text, more) => svg("text", { x, y, "text-anchor": anchor, ...more }, text);

/** @param {{ onFollow(row: number): void, onChoose(row: number): void }} handlers */
export function makeScatter({ onFollow, onChoose }) {
  /** @type {Ranking | undefined} */
  let held;
  let place = (/** @type {number} */ _, /** @type {number} */ __) => [0, 0];
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "scatter" });
  const ring = svg("circle", { r: 6.5 });
  const line = h(".note");
  const nearest = (/** @type {Event} */ event) => {
    const { clientX, clientY } = /** @type {MouseEvent} */ (event);
    const box = picture.getBoundingClientRect();
    const scale = WIDTH / (box.width || WIDTH);
    const [x, y] = [(clientX - box.left) * scale, (clientY - box.top) * scale];
    let best = -1;
    let least = NEAR;
    held?.known.forEach((known, row) => {
      const [px, py] = place(held?.attribution[row] ?? 0, held?.ablation[row] ?? 0);
      const far = Math.hypot(px - x, py - y);
      if (known && far < least) [best, least] = [row, far];
    });
    return best;
  };
  picture.addEventListener("mousemove", (event) => onFollow(nearest(event)));
  picture.addEventListener("mouseleave", () => onFollow(-1));
  picture.addEventListener("click", (event) => {
    const row = nearest(event);
    if (row >= 0) onChoose(row);
  });
  return {
    box: h("@group", { label: "Attribution against ablation" }, picture, line),
    /** @param {Ranking} ranking @param {Set<number>} strong rows to draw larger @param {number} r @param {string} unit */
    show(ranking, strong, r, unit) {
      held = ranking;
      const { attribution, ablation, known } = ranking;
      const rows = [...known.keys()].filter((row) => known[row]);
      let [low, high] = [0, 0];
      const widen = (/** @type {number} */ value) => {
        low = Math.min(low, value);
        high = Math.max(high, value);
      };
      for (const row of rows) [attribution[row], ablation[row]].forEach(widen);
      const errors = ranking.head.nodes.flatMap(([name, , , x, y]) =>
        name === "error" && x !== null && y !== null ? [{ x, y }] : [],
      );
      const span = high - low || 1;
      const near = errors.filter(({ x, y }) => Math.max(x, y, high) - Math.min(x, y, low) < FAR * span);
      for (const { x, y } of near) [x, y].forEach(widen);
      const pad = 0.06 * (high - low || 1);
      [low, high] = [low - pad, high + pad];
      const clamp = (/** @type {number} */ value) => Math.min(high, Math.max(low, value));
      place = (x, y) => [
        LEFT + ((clamp(x) - low) / (high - low)) * (RIGHT - LEFT),
        BOTTOM - ((clamp(y) - low) / (high - low)) * (BOTTOM - TOP),
      ];
      const dots = (/** @type {number[]} */ some) =>
        some.map((row) => `M${place(attribution[row], ablation[row]).map((at) => at.toFixed(1))}h0`).join("");
      const [x0, y0] = place(low, low);
      const [x1, y1] = place(high, high);
      const grid = ticks(low, high).flatMap((value) => {
        const [x, y] = place(value, value);
        const text = `${value}`.replace("-", "−");
        const kind = value ? "grid" : "zero";
        return [
          svg("path", { class: kind, d: `M${x},${y1}V${y0}M${x0},${y}H${x1}` }),
          write(x, y0 + 13, "middle", text),
          write(x0 - 5, y + 4, "end", text),
        ];
      });
      const marks = errors.flatMap(({ x, y }) => {
        const [px, py] = place(x, y);
        const off = x !== clamp(x) || y !== clamp(y);
        const end = px > (LEFT + RIGHT) / 2;
        return [
          svg("path", { class: "gap", d: `M${px},${py - 6}l6,6l-6,6l-6,-6z` }),
          write(
            px + (end ? -9 : 9),
            py + 4,
            end ? "end" : "start",
            off ? `error, beyond: ${number(x)}, ${number(y)}` : "error",
          ),
        ];
      });
      const middle = (TOP + BOTTOM) / 2;
      put(
        picture,
        ...grid,
        svg("path", { class: "same", d: `M${x0},${y0}L${x1},${y1}` }),
        svg("path", { class: "dots", d: dots(rows.filter((row) => !strong.has(row))) }),
        svg("path", { class: "dots strong", d: dots(rows.filter((row) => strong.has(row))) }),
        ...marks,
        ring,
        write((LEFT + RIGHT) / 2, HEIGHT - 8, "middle", `attribution: estimated, ${unit}`, { class: "axis" }),
        write(12, middle, "middle", `ablation: true effect, ${unit}`, {
          class: "axis",
          transform: `rotate(-90 12 ${middle})`,
        }),
      );
      const text = Number.isNaN(r) ? "not defined" : fixed(r);
      set(picture, "aria-label", `Attribution against ablation of ${rows.length} rows, Pearson r ${text}`);
      put(
        line,
        h("b", `Pearson r = ${text}`),
        ` over ${rows.length} ${rows.length < ranking.n ? `of ${ranking.n} ` : ""}rows. A dot is a row, large if a column shows it; ◆ the SAE's error; on the dashed line both agree.`,
      );
      this.follow(-1);
    },
    /** @param {number} row -1 for none */
    follow(row) {
      const there = held && row >= 0 && held.known[row];
      set(ring, "visibility", there ? "visible" : "hidden");
      if (!held || !there) return;
      const [x, y] = place(held.attribution[row], held.ablation[row]);
      set(ring, "cx", x);
      set(ring, "cy", y);
    },
  };
}
