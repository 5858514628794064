"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;

  const themes = [["", "◐ Auto", "as the system"], ["light", "☀ Light", "light"], ["dark", "☾ Dark", "dark"]];
  const button = document.getElementById("theme");
  let theme = 0;
  button.addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    const [name, text, words] = themes[theme];
    if (name) root.dataset.theme = name;
    else delete root.dataset.theme;
    button.textContent = text;
    button.setAttribute("aria-label", `Colours: ${words}`);
  });

  // A spreadsheet would run a cell that begins like a formula.
  const cell = (value) => {
    if (value === null) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  for (const control of document.querySelectorAll("[data-csv]")) {
    control.addEventListener("click", () => {
      const { columns, rows } = data[control.dataset.csv];
      const text = [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = `${control.dataset.csv}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  const MOST_ROWS = 500;
  const fill = (place, { title, columns, rows }) => {
    const table = document.createElement("table");
    table.createCaption().textContent = rows.length > MOST_ROWS
      ? `${title}: the first ${MOST_ROWS} of ${rows.length} rows, all are in the CSV` : title;
    const head = table.createTHead().insertRow();
    for (const name of columns) {
      const column = document.createElement("th");
      column.scope = "col";
      column.textContent = name;
      head.append(column);
    }
    const body = table.createTBody();
    for (const row of rows.slice(0, MOST_ROWS)) {
      const line = body.insertRow();
      for (const value of row) line.insertCell().textContent = value === null ? "–" : String(value);
    }
    place.append(table);
  };
  for (const details of document.querySelectorAll("details[data-table]")) {
    details.addEventListener("toggle", () => {
      const place = details.querySelector(".scroll");
      if (details.open && !place.firstChild) fill(place, data[details.dataset.table]);
    });
  }

  const seconds = (value) => `${Number(value.toPrecision(6))} s`;
  const series = (rows, columns, column) => {
    const row = rows[column];
    const values = row.slice(1).map((v, i) => `${columns[i + 1]}: ${v === null ? "–" : Number(v.toPrecision(4))}`);
    return `${seconds(row[0])}  ${values.join("   ")}`;
  };
  const heat = (plot, rows, column, place) => {
    const step = plot.step;
    const here = rows.filter((row) => row[0] === plot.dataset.heat && Math.round(row[1] / step) === column);
    const total = here.reduce((sum, row) => sum + row[4], 0);
    const exact = place === null ? null : here.find((row) => row[2] <= place && place < row[3]);
    const most = exact || here.reduce((best, row) => (best === null || row[4] > best[4] ? row : best), null);
    if (most === null) return `${seconds(column * step)}  no request`;
    const words = exact ? "" : "most of them ";
    return `${seconds(column * step)}  ${total} requests, ${words}${most[4]} between ${Math.round(most[2])} and ${Math.round(most[3])} ms`;
  };

  for (const plot of document.querySelectorAll("[data-plot]")) {
    const { columns, rows } = data[plot.dataset.plot];
    const number = (name) => Number(plot.dataset[name]);
    const [left, right, count] = [number("left"), number("right"), number("columns")];
    const picture = plot.querySelector("svg");
    const mark = plot.querySelector(".cursor");
    const readout = plot.closest("figure").querySelector(".readout");
    if (plot.dataset.heat !== undefined) {
      const starts = rows.map((row) => row[1]).filter((v) => v > 0);
      plot.step = number("step") || Math.min(...starts, 1);
    }
    let at = -1;
    const show = (column, place) => {
      at = Math.max(0, Math.min(count - 1, column));
      const x = left + ((at + 0.5) / count) * (right - left);
      mark.setAttribute("x1", x);
      mark.setAttribute("x2", x);
      plot.classList.add("read");
      readout.textContent = plot.dataset.heat === undefined
        ? series(rows, columns, at) : heat(plot, rows, at, place);
    };
    const hide = () => {
      plot.classList.remove("read");
      readout.textContent = "";
    };
    plot.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const view = picture.viewBox.baseVal;
      const x = ((event.clientX - box.left) / box.width) * view.width;
      if (x < left || x > right) return;
      let place = null;
      if (plot.dataset.heat !== undefined) {
        const y = ((event.clientY - box.top) / box.height) * view.height;
        const share = (number("bottom") - y) / (number("bottom") - number("top"));
        const bin = Math.floor(number("low") + share * (number("high") - number("low")));
        place = 10 ** ((bin + 0.5) / number("perDecade"));
      }
      show(Math.floor(((x - left) / (right - left)) * count), place);
    });
    plot.addEventListener("pointerleave", () => { if (document.activeElement !== plot) hide(); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      show(moves[event.key], null);
    });
  }

  // A link into a folded objective opens it; paper shows everything.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.objective")) details.open = true;
  });
})();
