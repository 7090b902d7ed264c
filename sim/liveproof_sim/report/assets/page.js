"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const shown = new Set(data.tasks);
  const PAGE = 200; // rows
  let rows = PAGE;

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button));
  }

  function copy(button) {
    const code = document.getElementById(button.dataset.copy);
    const done = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
    const select = () => {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      if (document.execCommand("copy")) done();
    };
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select);
    else select();
  }

  const table = document.getElementById("turns");
  if (!table) return;
  const tasks = data.tasks.slice(0, data.tasks_max);
  const colour = who => `var(--lane-${Math.max(0, data.tasks.indexOf(who)) % 8})`;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function svg(name, attributes, title) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (title !== undefined) {
      const words = document.createElementNS("http://www.w3.org/2000/svg", name === "text" ? "tspan" : "title");
      words.textContent = title;
      made.append(words);
    }
    return made;
  }

  function overview() {
    const there = tasks.filter(who => shown.has(who));
    const turns = data.turns.filter(turn => there.includes(turn.who));
    const names = 150, lane = 26, top = 14;
    const units = turns.reduce((sum, turn) => sum + Math.min(turn.steps.length, 8), 0) || 1;
    const unit = Math.max(5, Math.min(36, 960 / units));
    const width = names + units * unit + 12, height = top + lane * Math.max(1, there.length) + 6;
    const root = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "lanes of tasks"});
    root.style.maxWidth = `${width}px`;
    root.style.minWidth = `${Math.min(width, 900)}px`;
    there.forEach((who, at) => {
      const y = top + lane * at + lane / 2;
      root.append(svg("line", {class: "rail", x1: names, x2: width - 6, y1: y, y2: y}));
      const label = who.length > 20 ? who.slice(0, 19) + "…" : who;
      root.append(svg("text", {x: names - 10, y: y + 4, "text-anchor": "end"}, label));
    });
    let x = names, before = null;
    for (const turn of turns) {
      const y = top + lane * there.indexOf(turn.who) + lane / 2;
      const wide = Math.min(turn.steps.length, 8) * unit;
      if (before !== null && before !== y) root.append(svg("path", {class: "hop", d: `M${x},${before} V${y}`}));
      const last = turn.steps[turn.steps.length - 1];
      const words = `${turn.who}, step ${turn.step}: ${last.place}${turn.overtook ? "\nbefore " + turn.overtook : ""}`;
      root.append(svg("rect", {
        x: x + 1, y: y - 7, width: Math.max(2, wide - 2), height: 14, rx: 3, style: `fill:${colour(turn.who)}`,
      }, words));
      if (turn.overtook) root.append(svg("path", {class: "mark", d: `M${x + 1},${y - 16} h8 l-4,7 z`}, words));
      x += wide;
      before = y;
    }
    document.getElementById("overview").replaceChildren(root);
  }

  function list() {
    const turns = data.turns.filter(turn => shown.has(turn.who));
    const head = element("tr", {}, ...["step", "time", "what ran"].map(name => element("th", {}, name)));
    const body = element("tbody");
    for (const turn of turns.slice(0, rows)) {
      const cell = element("div", {class: "turn", style: `--lane:${colour(turn.who)}`});
      cell.append(element("span", {class: "who"}, turn.who));
      if (turn.overtook) cell.append(element("span", {class: "over"}, ` ▼ before ${turn.overtook}`));
      let same = 0;
      turn.steps.forEach((step, at) => {
        const next = turn.steps[at + 1];
        same += 1;
        if (next && next.place === step.place && next.site === step.site) return;
        const line = element("code", {}, step.place || turn.kind);
        if (step.site) line.append(element("span", {class: "site"}, `  ${step.site}`));
        if (same > 1) line.append(element("span", {class: "times"}, `  × ${same}`));
        cell.append(line);
        same = 0;
      });
      const time = (turn.time_ns / 1e9).toFixed(3);
      body.append(element("tr", {}, element("td", {class: "time"}, String(turn.step)),
        element("td", {class: "time"}, time), element("td", {}, cell)));
    }
    table.replaceChildren(element("thead", {}, head), body);
    const more = document.getElementById("more");
    more.hidden = turns.length <= rows;
    more.textContent = `${turns.length - rows} more turns`;
  }

  function draw() { overview(); list(); }

  const filter = document.getElementById("filter");
  for (const who of tasks) {
    const button = element("button", {type: "button", "aria-pressed": "true", style: `--lane:${colour(who)}`}, who);
    button.addEventListener("click", () => {
      if (shown.has(who)) shown.delete(who); else shown.add(who);
      button.setAttribute("aria-pressed", String(shown.has(who)));
      draw();
    });
    filter.append(button);
  }
  document.getElementById("more").addEventListener("click", () => { rows += PAGE; list(); });
  draw();
})();
