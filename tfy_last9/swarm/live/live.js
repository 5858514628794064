"use strict";
(() => {
  const { html, short, clock } = Chart;
  const find = (id) => document.getElementById(id);
  const NOTHING = "–";
  const [BUSY_MS, IDLE_MS] = [1000, 2500];
  const GLYPHS = { PASS: "✓", WARN: "!", FAIL: "✕", INCONCLUSIVE: "?", NO_DATA: "∅", ERROR: "⚠", good: "✓", bad: "✕", open: "…", later: "…" };
  const COLOURS = { good: "is-pass", bad: "is-fail", open: "is-info", later: "is-info" };
  const HEADLINES = {
    ready: "No run yet",
    starting: "Starting users",
    loading: "Sending load",
    draining: "Waiting for the last answers",
    settling: "Waiting for traces in Last9",
    unjudged: "No verdict",
  };
  const PERCENTILES = ["p50", "p95", "p99"];
  let percentile = 1, newest = null, stage = "";

  const themes = [["", "◐ Auto", "as the system"], ["light", "☀ Light", "light"], ["dark", "☾ Dark", "dark"]];
  let theme = 0;
  find("theme").addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    const [name, text, words] = themes[theme];
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    find("theme").textContent = text;
    find("theme").setAttribute("aria-label", `Colours: ${words}`);
  });

  const charts = Object.fromEntries([
    { name: "rates", title: "Offered and finished", unit: "/s", empty: "Nothing was sent yet." },
    { name: "in-flight", title: "Requests under way", unit: "", empty: "Nothing was sent yet." },
    { name: "ttft", title: "Time to first token", unit: "ms", empty: "No first token yet." },
    { name: "total", title: "Total time", unit: "ms", empty: "No whole answer yet." },
    { name: "errors", title: "Errors by kind", unit: "", stacked: true, empty: "No error: nothing to show, and that is good." },
    { name: "settling", title: "Complete traces while waiting", unit: "", empty: "The wait for traces begins when the load has ended." },
  ].map((one) => [one.name, new Chart(find("charts"), one)]));
  for (const control of document.querySelectorAll('[name="percentile"]')) {
    control.addEventListener("change", () => {
      percentile = Number(control.value);
      if (newest !== null) drawTimes(newest);
    });
  }

  const show = (id, is) => { find(id).hidden = !is; };
  const say = (id, text) => { if (find(id).textContent !== text) find(id).textContent = text; };
  const count = (value) => value.toLocaleString("en");
  const share = (value) => `${short(100 * value)} %`;
  const milliseconds = (value) => (value === null ? NOTHING : value.toLocaleString("en", { maximumFractionDigits: 1 }));
  const css = (state) => COLOURS[state] || `is-${state.toLowerCase().replace("_", "-")}`;
  const chip = (state, words) => {
    const made = html("span", `chip ${css(state)}`);
    const glyph = html("span", "", made, GLYPHS[state] || "·");
    glyph.setAttribute("aria-hidden", "true");
    made.append(` ${words ?? state.replace("_", " ")}`);
    return made;
  };

  /* Rows of cells; a cell is text, a node, or {text, kind}. The first names its row. */
  const fill = (table, heads, rows) => {
    const head = html("thead"), line = html("tr", "", head);
    for (const one of heads) {
      const cell = html("th", one.kind || "", line, one.text ?? one);
      cell.scope = "col";
    }
    const body = html("tbody");
    for (const row of rows) {
      const made = html("tr", "", body);
      row.forEach((cell, place) => {
        // An element is a cell as it is: links have a `text` of their own.
        const { text: inner, kind } = cell.kind ? cell : { text: cell };
        const slot = html(place ? "td" : "th", kind || "", made);
        if (!place) slot.scope = "row";
        slot.append(...(Array.isArray(inner) ? inner : [inner]));
      });
    }
    table.replaceChildren(head, body);
  };
  const number = (text, bad) => ({ text, kind: bad ? "number bad-number" : "number" });
  const right = (text) => ({ text, kind: "number" });

  const meter = (used, place) => {
    const bar = html("span", `meter${used > 1 ? " over" : used > 0.8 ? " most" : ""}`, place);
    bar.setAttribute("aria-hidden", "true");
    html("span", "", bar).style.width = `${Math.min(100, 100 * used)}%`;
  };

  const headline = (state) => {
    const { stage: at, run, verdict } = state;
    if (at === "judged") {
      if (find("headline").dataset.of !== run.id) find("headline").replaceChildren(chip(verdict.state), html("span", "", null, verdict.meaning));
      find("headline").dataset.of = run.id;
    } else {
      const phase = at === "loading" && run.phase ? run.phases.find((one) => one.name === run.phase) : null;
      say("headline", HEADLINES[at] + (phase ? `: ${phase.name}${phase.judged ? "" : ", not judged"}` : ""));
      delete find("headline").dataset.of;
    }
    find("now").className = `verdict ${at === "judged" ? css(verdict.state) : at === "unjudged" ? "is-error" : "is-info"}`;
    if (at !== stage) say("told", at === "judged" ? `Verdict: ${verdict.state}. ${verdict.reason}` : HEADLINES[at]);
    stage = at;
    document.title = `${at === "judged" ? verdict.state : HEADLINES[at]}${run ? ` · ${run.scenario}` : ""} · tfy-last9 live`;
  };

  const STEPS = ["load", "settle", "verdict"];
  const ORDER = { ready: -1, starting: 0, loading: 0, draining: 0, settling: 1, judged: 3, unjudged: 2 };
  const steps = (at) => STEPS.forEach((name, place) => {
    const item = find(`stage-${name}`);
    item.className = place < ORDER[at] ? "done" : place === ORDER[at] ? "now" : "";
    if (place === ORDER[at]) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
  });

  const progress = ({ stage: at, run, settling }) => {
    const bar = find("progress");
    let text = "";
    if (at === "loading" || at === "draining") {
      const left = Math.max(0, run.duration_s - run.elapsed_s);
      [bar.max, bar.value] = [run.duration_s, Math.min(run.elapsed_s, run.duration_s)];
      text = left ? `${clock(left)} left of ${clock(run.duration_s)}` : "the schedule is over";
    } else if (at === "settling" && settling.expected) {
      [bar.max, bar.value] = [settling.expected, settling.complete];
      const left = Math.max(0, settling.deadline_s - settling.elapsed_s);
      text = `${count(settling.complete)} of ${count(settling.expected)} traces complete, deadline in ${clock(left)}; ${count(settling.queries)} queries, ${count(settling.rows)} rows read`;
    } else if (at === "settling") {
      bar.removeAttribute("value");
      text = "reading the first traces";
    }
    show("progress-row", text !== "");
    say("progress-text", text);
  };

  const nextStep = (text) => {
    const item = html("li"), [, told, command] = /^(.*?)(?:: |\s)(tfy-last9 \S.*)$/s.exec(text) || [null, text, null];
    item.append(told);
    if (command) html("pre", "", item, command);
    return item;
  };
  const words = (state) => {
    const { stage: at, run, verdict, settling, totals } = state;
    say("what", run ? `${run.scenario} · run ${run.id} · judged by ${run.slo}` : "");
    say("reason", at === "judged" ? verdict.reason
      : at === "ready" ? "Choose a scenario and SLO files under Custom parameters of the start form, then press Start. Numbers appear here a second later."
        : at === "unjudged" ? "The check could not decide. It said:" : "");
    show("lines", at === "unjudged");
    if (at === "unjudged") say("lines", settling.lines.join("\n"));
    const missed = (totals && totals.missed) || 0;
    show("warning", missed > 0 && at !== "judged");
    if (missed) say("warning", `${count(missed)} ${missed === 1 ? "arrival" : "arrivals"} found no free user and ${missed === 1 ? "was" : "were"} not sent: give the start form at least ${count(run.users)} users, or ask for a lower rate.`);
    show("next", at === "judged" && verdict.next_steps.length > 0);
    if (at === "judged") find("next-steps").replaceChildren(...verdict.next_steps.map(nextStep));
    show("report", Boolean(run && run.report));
    if (run && run.report) find("report").href = run.report;
    show("start", ["ready", "judged", "unjudged"].includes(at));
    say("start", at === "ready" ? "Start a run" : "Start another run");
  };

  const last = (values) => values.findLast((value) => value !== null) ?? 0;
  const mean = (values, end) => {
    const known = values.slice(0, end).slice(-5).filter((value) => value !== null);
    return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : 0;
  };
  const tiles = ({ stage: at, totals, outcomes, spent, course, run }) => {
    const going = at === "loading";
    const answered = Object.values(outcomes).reduce((sum, one) => sum + one, 0) - (outcomes.missed || 0);
    // The newest column is not full yet.
    const rate = going ? mean(course.finished, -1) : run.elapsed_s ? answered / Math.min(run.elapsed_s, run.duration_s) : 0;
    const errors = answered - (outcomes.ok || 0);
    const shown = [
      ["Finished", count(answered), `of ${count(totals.offered || 0)} offered`],
      ["Rate", `${short(rate)}/s`, going ? "finished, last 5 s" : "finished, mean"],
      ["Under way", going || at === "draining" ? count(totals.in_flight || 0) : "0", `most ${count(Math.max(0, ...course.in_flight))}`],
      ["Errors", count(errors), answered ? share(errors / answered) : NOTHING],
      ["Tokens", count(spent.input_tokens + spent.output_tokens), `${count(spent.output_tokens)} of them answers`],
      ["Spent", spent.cost_usd === null ? NOTHING : `${short(spent.cost_usd)} USD`, spent.cost_usd === null ? "no answer names a price" : "as answers say"],
    ];
    find("tiles").replaceChildren(...shown.map(([name, value, more]) => {
      const tile = html("div", "tile");
      html("dt", "", tile, name);
      html("span", "detail", html("dd", "", tile, value), more);
      return tile;
    }));
  };

  const providers = (all) => fill(
    find("providers-table"),
    ["Provider", right("n"), right("TTFT p50"), right("p95"), right("p99"), right("Total p50"), right("p95"), right("p99"), right("Errors"), "Objectives so far"],
    all.map((one) => [
      one.name, right(count(one.n)),
      ...["ttfta", "ttftb", "ttftc", "totala", "totalb", "totalc"].map((key) => right(milliseconds(one[key]))),
      number(count(one.errors), one.errors > 0), { text: one.summary, kind: "wrap n" },
    ]),
  );

  /* One row per objective, one column per group: how it stands, and on how much. */
  const objectives = ({ verdict, objectives: live }) => {
    const all = verdict ? verdict.findings : live;
    say("objectives-hint", verdict
      ? "As judged, from the ledger and from the traces in Last9."
      : "From the client’s ledger so far: the verdict may differ. Last9’s part comes after the run.");
    const groups = [...new Set(all.map((one) => one.group))].sort();
    const names = [...new Set(all.map((one) => one.objective))];
    fill(find("objectives-table"), ["Objective", ...groups.map((one) => one || "All")], names.map((name) => {
      const mine = all.filter((one) => one.objective === name);
      const claim = html("span", "detail", null, mine[0].claim + (mine[0].critical ? "" : " (not critical)"));
      const cells = groups.map((group) => {
        const one = mine.find((other) => other.group === group);
        return one ? [standing(one)] : "";
      });
      return [[name, claim], ...cells];
    }));
  };
  const standing = (one) => {
    const cell = html("div", "standing");
    cell.append(chip(one.standing, one.words));
    if (one.standing === "later" || !one.n) return cell;
    const detail = html("span", "n", cell);
    if (one.used !== null) meter(one.used, detail);
    detail.append(one.used === null ? `n = ${count(one.n)}` : `${share(one.used)} of budget`);
    if (one.used !== null) html("span", "n", cell, `${count(one.bad)} bad of ${count(one.n)}`);
    return cell;
  };

  const drawTimes = ({ course, limits }) => {
    for (const measure of ["ttft", "total"]) {
      const series = Object.fromEntries(Object.entries(course.times[measure]).map(([name, all]) => [name, all.map((one) => one[percentile])]));
      const known = Object.entries(series).filter(([, all]) => all.some((one) => one !== null));
      const limit = limits[measure];
      charts[measure].draw({
        step: course.step_s, columns: course.columns, series,
        lead: `${PERCENTILES[percentile]} of good answers per ${clock(course.step_s)}${limit ? `; ${limit.text}` : ""}. Last: ${known.map(([name, all]) => `${name} ${short(last(all))} ms`).join(", ") || "none"}.`,
        limit,
      });
    }
  };

  const draw = (state) => {
    const { course, settling, totals } = state;
    const { step_s: step, columns } = course;
    charts.rates.draw({
      step, columns, series: { offered: course.offered, finished: course.finished },
      lead: `Arrivals do not wait for answers: a gap between the lines is a queue. ${count(totals.offered || 0)} offered.`,
    });
    charts["in-flight"].draw({ step, columns, series: { "under way": course.in_flight }, lead: `Most at a time: ${count(Math.max(0, ...course.in_flight))}.` });
    drawTimes(state);
    const kinds = Object.entries(course.errors).map(([kind, all]) => [kind, all.reduce((sum, one) => sum + one, 0)]);
    charts.errors.draw({ step, columns, series: course.errors, lead: kinds.map(([kind, n]) => `${kind} ${count(n)}`).join(", ") });
    const points = (settling && settling.course) || [];
    const whole = points.length ? Math.max(1, Math.ceil(points[points.length - 1][0]) + 1) : 0;
    const wide = Math.max(1, Math.ceil(whole / 240)), seen = Array(Math.ceil(whole / wide)).fill(null);
    for (const [seconds, complete] of points) seen[Math.floor(seconds / wide)] = complete;
    if (points.length) seen[0] ??= 0;
    for (let place = 1; place < seen.length; place++) seen[place] ??= seen[place - 1];
    charts.settling.draw({
      step: wide, columns: seen.length, series: { complete: seen },
      lead: points.length ? `${count(settling.complete)} of ${count(settling.expected)} expected traces are complete, ${clock(settling.elapsed_s)} after the last answer.` : "",
      limit: points.length ? { value: settling.expected, text: "expected" } : null,
    });
  };

  const runs = (all) => {
    show("runs-table", all.length > 0);
    show("no-runs", all.length === 0);
    fill(find("runs-table"), ["Run", "Scenario", "SLO files", "Verdict", "Report"], all.map((one) => {
      let report = NOTHING;
      if (one.report) {
        report = html("a", "", null, "open");
        report.href = one.report;
        html("span", "hidden", report, ` the report of ${one.id}`);
      }
      return [one.id, one.scenario, one.slo, one.state ? chip(one.state) : NOTHING, report];
    }));
  };

  /* Tables are made anew only where they changed, so that nobody's selection is lost for nothing. */
  const drawn = {};
  const changed = (name, value) => {
    const text = JSON.stringify(value);
    if (drawn[name] === text) return false;
    drawn[name] = text;
    return true;
  };
  const take = (state) => {
    newest = state.course ? state : null;
    headline(state);
    steps(state.stage);
    progress(state);
    words(state);
    if (changed("runs", state.runs)) runs(state.runs);
    show("tiles", newest !== null);
    show("numbers", newest !== null);
    if (newest === null) return;
    tiles(state);
    if (changed("providers", state.providers)) providers(state.providers);
    if (changed("objectives", [state.objectives, state.verdict])) objectives(state);
    if (changed("course", [state.course, state.settling])) draw(state);
  };

  let timer = 0;
  const poll = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    let wait = IDLE_MS;
    try {
      const answer = await fetch("tfy/state", { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const state = await answer.json();
      show("lost", false);
      take(state);
      if (!["ready", "judged", "unjudged"].includes(state.stage)) wait = BUSY_MS;
    } catch (error) {
      if (!(error instanceof TypeError) && !/^status/.test(error.message)) throw error;
      show("lost", true);
    } finally {
      clearTimeout(timer);
      timer = setTimeout(poll, wait);
    }
  };
  document.addEventListener("visibilitychange", poll);
  poll();
})();
