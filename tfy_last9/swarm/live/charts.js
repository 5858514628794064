"use strict";
/* Line and stacked-bar charts in SVG, drawn anew with each answer. Exposes `Chart`. */
const Chart = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [560, 206, 46, 552, 12, 180];

  const shape = (name, attributes, parent, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };
  const html = (name, kind, parent, text) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  /* A step of 1, 2 or 5 times a power of ten that makes about four ticks. */
  const niceStep = (most) => {
    const raw = most / 4, power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  };
  const short = (value) => Number(value.toPrecision(3)).toLocaleString("en");
  const clock = (seconds) => {
    if (seconds < 120) return `${Math.round(seconds)} s`;
    const minutes = Math.floor(seconds / 60), rest = Math.round(seconds % 60);
    return `${minutes}:${String(rest).padStart(2, "0")} min`;
  };

  class Chart {
    constructor(place, { name, title, unit, stacked = false, empty }) {
      Object.assign(this, { name, title, unit, stacked, empty, at: null });
      this.frame = html("figure", "card", place);
      this.frame.id = `chart-${name}`;
      const caption = html("figcaption", "", this.frame);
      html("h3", "", caption, title);
      this.lead = html("p", "", caption);
      this.legend = html("ul", "legend", this.frame);
      this.plot = html("div", "plot", this.frame);
      this.plot.tabIndex = 0;
      this.plot.setAttribute("role", "group");
      this.readout = html("p", "readout", this.frame);
      this.readout.setAttribute("aria-live", "polite");
      this.nothing = html("p", "empty", this.frame, empty);
      this.plot.addEventListener("pointermove", (event) => this.point(event));
      this.plot.addEventListener("pointerleave", () => this.read(null));
      this.plot.addEventListener("blur", () => this.read(null));
      this.plot.addEventListener("keydown", (event) => this.key(event));
    }

    /* `series`: name to values, null where nobody knows; `limit`: {value, text} or null. */
    draw({ step, columns, series, lead, limit = null }) {
      Object.assign(this, { step, columns, series });
      const values = Object.values(series);
      const tops = this.stacked
        ? Array.from({ length: columns }, (_, i) => values.reduce((sum, one) => sum + (one[i] || 0), 0))
        : values.flat();
      const most = tops.reduce((top, one) => Math.max(top, one ?? 0), 0);
      const has = columns > 0 && values.some((one) => one.some((value) => value !== null && (!this.stacked || value > 0)));
      this.lead.textContent = lead;
      this.plot.hidden = this.legend.hidden = this.readout.hidden = !has;
      this.nothing.hidden = has;
      if (!has) return;
      this.plot.setAttribute("aria-label", `${this.title}: ${lead} Arrow keys read values.`);
      // A limit far above what is measured would flatten every line: it is then only named.
      const shown = limit !== null && limit.value <= most * 3;
      const tick = niceStep(Math.max(most, shown ? limit.value : 0, 1e-9) * 1.08);
      this.top = Math.ceil((Math.max(most, shown ? limit.value : 0) * 1.04 || tick) / tick) * tick;
      this.picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
      for (let value = 0; value <= this.top * 1.0001; value += tick) {
        const y = this.y(value);
        shape("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y, y2: y }, this.picture);
        shape("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, this.picture, short(value));
      }
      const every = niceStep(Math.max(columns * step, 4));
      for (let seconds = 0; seconds <= columns * step; seconds += every) {
        const x = LEFT + (seconds / (columns * step)) * (RIGHT - LEFT);
        shape("text", { x, y: HEIGHT - 10, "text-anchor": "middle" }, this.picture, clock(seconds));
      }
      if (this.stacked) this.bars(); else this.lines();
      if (shown) {
        const y = this.y(limit.value);
        shape("line", { class: "limit", x1: LEFT, x2: RIGHT, y1: y, y2: y }, this.picture);
        shape("text", { x: RIGHT, y: y - 4, "text-anchor": "end" }, this.picture, limit.text);
      }
      this.mark = shape("line", { class: "cursor", y1: TOP, y2: BOTTOM, x1: 0, x2: 0, visibility: "hidden" }, this.picture);
      this.plot.replaceChildren(this.picture);
      this.name_all(Object.keys(series));
      if (this.at !== null) this.read(Math.min(this.at, columns - 1));
    }

    y(value) { return BOTTOM - (value / this.top) * (BOTTOM - TOP); }
    x(column) { return LEFT + ((column + 0.5) / this.columns) * (RIGHT - LEFT); }

    lines() {
      Object.values(this.series).forEach((values, place) => {
        let path = "", joined = false;
        values.forEach((value, column) => {
          if (value !== null) path += `${joined ? "L" : "M"}${this.x(column).toFixed(1)} ${this.y(value).toFixed(1)}`;
          joined = value !== null;
        });
        const line = shape("path", { class: `line s${place % 6}`, d: path }, this.picture);
        if (values.filter((value) => value !== null).length === 1) line.setAttribute("stroke-linecap", "round");
        if (!/L/.test(path) && path) line.setAttribute("d", path + path.replace("M", "L"));
      });
    }

    bars() {
      const width = Math.max(1, (RIGHT - LEFT) / this.columns - 0.6);
      for (let column = 0; column < this.columns; column++) {
        let below = 0;
        Object.values(this.series).forEach((values, place) => {
          if (!values[column]) return;
          const y = this.y(below + values[column]);
          shape("rect", { class: `slice s${place % 6}`, x: this.x(column) - width / 2, y, width, height: Math.max(0.5, this.y(below) - y) }, this.picture);
          below += values[column];
        });
      }
    }

    name_all(names) {
      const known = names.join("\n");
      if (known === this.known) return;
      this.known = known;
      this.legend.replaceChildren(...names.map((name, place) => {
        const item = html("li");
        if (this.stacked) html("span", `box s${place % 6}`, item);
        else {
          const swatch = shape("svg", { class: "swatch", viewBox: "0 0 16 8", "aria-hidden": "true" }, item);
          shape("line", { class: `line s${place % 6}`, x1: 0, x2: 16, y1: 4, y2: 4 }, swatch);
        }
        item.append(name);
        return item;
      }));
    }

    read(column) {
      this.at = column;
      if (!this.mark) return;
      this.mark.setAttribute("visibility", column === null ? "hidden" : "visible");
      if (column === null) { this.readout.textContent = ""; return; }
      this.mark.setAttribute("x1", this.x(column));
      this.mark.setAttribute("x2", this.x(column));
      const values = Object.entries(this.series).map(([name, all]) => `${name} ${all[column] == null ? "–" : `${short(all[column])} ${this.unit}`}`);
      this.readout.textContent = `${clock(column * this.step)}:  ${values.join("   ")}`;
    }

    point(event) {
      const box = this.picture.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      if (x < LEFT || x > RIGHT) return;
      this.read(Math.min(this.columns - 1, Math.floor(((x - LEFT) / (RIGHT - LEFT)) * this.columns)));
    }

    key(event) {
      const last = this.columns - 1, at = this.at ?? last + 1;
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.read(Math.max(0, Math.min(last, moves[event.key])));
    }
  }
  return Object.assign(Chart, { html, short, clock });
})();
