// SPDX-License-Identifier: MIT
// Zoom, tooltips, search and folding of a picture of bough. The drawing is complete without this script: each element
// has its time in data-t and data-d, from which this script computes its place again.
(() => {
  "use strict";
  const svg = document.getElementById("picture");
  const find = (selector, from = svg) => [...from.querySelectorAll(selector)];
  const one = id => document.getElementById(id);
  const number = (element, name) => Number(element.dataset[name]);
  const NS = "http://www.w3.org/2000/svg";
  const FONT = 'Inter, "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif';
  const LEFT = number(svg, "x"), WIDTH = number(svg, "width"), TOP = number(svg, "top");
  const BEGIN = number(svg, "from"), END = number(svg, "until"), MARGIN = 24, AXIS = 28, LEAST = 200;
  const first = one("first"), FIRST = first && first.querySelector("title").textContent.split("\n")[0];
  const HEADER = Math.max(...find(".title, .subtitle, .legend").map(e => e.getBBox().x + e.getBBox().width)); // has no line breaks
  const PAPER = 190 / 277, AIR = 8; // height / width of landscape A4 without margins; left free at the ends of a page
  let from = BEGIN, until = END, width = WIDTH, stamp = 0, height = 0, asked = false, is_print = false;

  const x = time => LEFT + (time - from) / (until - from) * width;
  const time = pixels => from + (pixels - LEFT) / width * (until - from);
  const make = (name, attributes) => {
    const element = document.createElementNS(NS, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return element;
  };
  const set = (element, name, value) => element && element.setAttribute(name, typeof value === "number" ? value.toFixed(2) : value);
  const show = (element, is) => { if (element) element.style.display = is ? "" : "none"; };

  // ---- text that fits ----
  const pen = document.createElement("canvas").getContext("2d"), widths = new Map();
  const measure = (text, font) => {
    const key = font + text;
    if (!widths.has(key)) {
      pen.font = font + " " + FONT;
      widths.set(key, pen.measureText(text).width);
    }
    return widths.get(key);
  };
  const fit = (text, font, room) => {
    if (room < 8 || measure(text, font) <= room) return room < 8 ? "" : text;
    let low = 0, high = text.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (measure(text.slice(0, middle) + "…", font) <= room) low = middle; else high = middle;
    }
    const name = text.split("(", 1)[0];
    if (low < name.length + 2 && name && name.length < text.length) return fit(name, font, room);
    return low < 3 ? "" : text.slice(0, low) + "…";
  };

  // ---- rows and what is in them ----
  const rows = find("#rows > .row").map(element => ({
    element, depth: number(element, "depth"), height: number(element, "h"), y: 0, stamp: -1, folded: false, hidden: false, parts: null,
    is_group: element.classList.contains("branches") || element.classList.contains("process"),
  }));
  const bar = group => {
    const rect = group.querySelector("rect");
    return { group, rect, text: group.querySelector("text"), torn: group.querySelector(".torn"), y: Number(rect.getAttribute("y")),
      tall: Number(rect.getAttribute("height")), t: number(group, "t"), d: number(group, "d"), label: group.dataset.l || "" };
  };
  const incident = group => ({ group, line: group.dataset.line, steps: find(":scope > .step", group).map(bar),
    over: group.querySelector(":scope > .over"), torn: group.querySelector(":scope > .torn") });
  const parts = row => row.parts || (row.parts = {
    bars: find(".plot > .b", row.element).map(bar),
    incidents: find(".plot > .incident", row.element).map(incident),
    marks: find(".plot > .mark", row.element).map(group => ({ group, t: number(group, "t"), body: group.querySelector("g"),
      text: group.querySelector("text"), full: group.querySelector("text")?.textContent })),
    areas: row.element.querySelector(".areas"),
  });

  const place = (b, least, font, pad) => {
    const edge = LEFT + width, a = x(b.t), z = Math.max(x(b.t + b.d), a + least), is_in = z >= LEFT && a <= edge;
    show(b.group, is_in);
    if (!is_in) return z;
    const left = Math.max(a, LEFT - 8), right = Math.min(z, edge + 8), start = Math.max(a, LEFT);
    set(b.rect, "x", left);
    set(b.rect, "width", right - left);
    if (b.torn) set(b.torn, "transform", `translate(${z.toFixed(2)} ${b.y})`);
    if (!b.label) return z;
    const label = fit(b.label, font, Math.min(z, edge) - start - (b.torn ? 14 : 2 * pad));
    if (label && !b.text) b.group.append(b.text = make("text", { y: b.y + b.tall - (pad < 5 ? 3 : 4) }));
    if (b.text) {
      set(b.text, "x", start + pad);
      if (b.text.textContent !== label) b.text.textContent = label;
    }
    return z;
  };
  const place_incident = (all, n) => {
    const i = all[n], last = i.steps.length - 1;
    let end = LEFT;
    i.steps.forEach((step, s) => {
      end = place(step, s === last ? 12 : 0, "600 10px", 3);
      if (step.text && !step.text.textContent && x(step.t + step.d) - x(step.t) >= 11) step.text.textContent = step.label.slice(0, 1);
    });
    if (last >= 0 && end - x(i.steps[last].t) < 13 && i.steps[last].text) i.steps[last].text.textContent = i.steps[last].label.slice(0, 1);
    const next = all.slice(n + 1).find(other => other.line === i.line);
    const room = (next && next.steps.length ? x(next.steps[0].t) : LEFT + width + 20) - end - 9;
    if (i.over) {
      set(i.over, "x", end + 5);
      show(i.over, end >= LEFT && measure(i.over.textContent, "10px") <= room);
    }
    if (i.torn) set(i.torn, "transform", `translate(${end.toFixed(2)} ${i.steps.length ? i.steps[0].y + i.steps[0].tall - 20 : 0})`);
  };
  const place_mark = (all, n) => {
    const m = all[n], at = x(m.t);
    show(m.group, at >= LEFT && at <= LEFT + width);
    set(m.body, "transform", `translate(${at.toFixed(2)} ${m.y ??= m.body.getAttribute("transform").match(/ ([\d.]+)\)/)[1]})`);
    if (m.text) m.text.textContent = fit(m.full, "10.5px", (n + 1 < all.length ? x(all[n + 1].t) - 9 : LEFT + width + 20) - at - 9);
  };
  const place_row = row => {
    if (row.stamp === stamp) return;
    row.stamp = stamp;
    const p = parts(row), scale = (END - BEGIN) / (until - from) * width / WIDTH;
    for (const b of p.bars) place(b, 1.5, "11px", 5);
    p.incidents.forEach((_, n) => place_incident(p.incidents, n));
    p.marks.forEach((_, n) => place_mark(p.marks, n));
    if (p.areas) set(p.areas, "transform", `translate(${x(BEGIN) - scale * LEFT} 0) scale(${scale} 1)`);
  };

  // ---- arrows, the axis ----
  const halos = find("#halos > path");
  const arrows = find("#arrows > .arrow").map((group, n) => ({ group, t: number(group, "t"), from: number(group, "from"), to: number(group, "to"),
    fy: number(group, "fy"), ty: number(group, "ty"), shafts: [halos[n], group.querySelector("path")], dot: group.querySelector("circle"), tip: group.querySelector(".tip") }));
  const shown = index => {
    while (index > 0 && rows[index].hidden) {
      const depth = rows[index].depth;
      do index--; while (index > 0 && rows[index].depth >= depth);
    }
    return rows[index];
  };
  const place_arrow = arrow => {
    const a = shown(arrow.from), b = shown(arrow.to), at = x(arrow.t);
    const is_in = (a !== b || (arrow.from === arrow.to && a === rows[arrow.from])) && at >= LEFT - 1 && at <= LEFT + width + 1;
    show(arrow.group, is_in);
    show(arrow.shafts[0], is_in);
    if (!is_in) return;
    const y1 = a.y + (a === rows[arrow.from] ? arrow.fy : a.height / 2), y2 = b.y + (b === rows[arrow.to] ? arrow.ty : b.height / 2);
    const down = y2 > y1, line = `M${at.toFixed(2)} ${y1}V${down ? y2 - 5 : y2 + 5}`;
    for (const path of arrow.shafts) set(path, "d", line);
    set(arrow.dot, "cx", at);
    set(arrow.dot, "cy", y1);
    set(arrow.tip, "d", `M${at.toFixed(2)} ${y2}l-3.5 ${down ? -6 : 6}h7z`);
  };
  const distance = () => {
    for (let power = 1; ; power *= 10)
      for (const factor of [1, 2, 5])
        if ((until - from) / (power * factor) <= Math.max(3, width / 90)) return power * factor;
  };
  const tick_label = (at, step) => {
    const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
    const [unit, name] = units.find(([size]) => until >= size) || units[3];
    let digits = 0;
    while (digits < 9 && Math.abs(step * 10 ** digits / unit - Math.round(step * 10 ** digits / unit)) > 1e-9) digits++;
    if (until < 600e9) return (at / unit).toFixed(digits) + " " + name;
    const s = Math.floor(at / 1e9), two = value => String(value).padStart(2, "0");
    return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${(at % 60e9 / 1e9).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
  };
  const place_axis = () => {
    const step = distance(), ticks = one("ticks"), bottom = height - 16;
    let grid = "";
    ticks.replaceChildren();
    for (let at = Math.ceil(from / step) * step; at <= until; at += step) {
      const text = make("text", { class: "tick", x: x(at), y: AXIS - 11 });
      text.textContent = tick_label(at, step);
      ticks.append(make("path", { class: "axis", d: `M${x(at)} ${AXIS}v-6` }), text);
      grid += `M${x(at)} ${TOP}V${bottom}`;
    }
    set(svg.querySelector(".grid"), "d", grid || "M0 0");
    if (first) place_first(bottom);
  };
  const place_first = bottom => {
    const at = x(number(first, "t")), line = first.querySelector("path"), text = first.querySelector("text");
    const is_left = at < LEFT + width / 2;
    set(line, "d", line.getAttribute("d").replace(/^M\S+ (\S+)V.*/, `M${at} $1V${bottom}`));
    set(text, "x", is_left ? at + 6 : at - 6);
    set(text, "text-anchor", is_left ? "start" : "end");
    text.textContent = fit(FIRST, "600 11.5px", (is_left ? LEFT + width - at : at - LEFT) - 12);
  };
  const follow = () => { // the axis stays in sight
    if (is_print) return;
    const box = svg.getBoundingClientRect(), bar_height = one("tools").offsetHeight;
    set(one("axis"), "transform", `translate(0 ${Math.max(TOP - AXIS, bar_height - box.top)})`);
  };

  // ---- drawing ----
  /* No row is split between two pages: a row that does not fit begins the next page, below a copy of the axis. */
  const place_on_paper = (y, row) => {
    const page = (LEFT + width + MARGIN) * PAPER, end = Math.ceil((y + 1) / page) * page;
    if (y + row.height <= end - AIR || row.height > page - AXIS - 2 * AIR) return y;
    const copy = one("axis").cloneNode(true);
    copy.removeAttribute("id");
    copy.classList.add("copy");
    set(copy, "transform", `translate(0 ${end + AIR})`);
    svg.append(copy);
    return end + AIR + AXIS;
  };
  const layout = () => {
    let y = TOP, limit = Infinity;
    for (const copy of find(".copy")) copy.remove();
    for (const row of rows) {
      row.hidden = row.depth > limit;
      show(row.element, !row.hidden);
      if (row.hidden) continue;
      limit = row.folded ? row.depth : Infinity;
      if (is_print) y = place_on_paper(y, row);
      row.element.classList.toggle("folded", row.folded);
      row.y = y;
      set(row.element, "transform", `translate(0 ${y})`);
      y += row.height;
    }
    height = y + 16;
    const whole = LEFT + width + MARGIN;
    set(svg, "viewBox", `0 0 ${whole} ${height}`);
    svg.setAttribute("width", whole);
    svg.setAttribute("height", height);
    one("paper").setAttribute("height", height);
    one("paper").setAttribute("width", whole);
    for (const band of find(".band")) band.setAttribute("width", whole);
    for (const rule of find(".rule")) rule.setAttribute("d", rule.getAttribute("d").replace(/H.*/, "H" + whole));
    one("axis").querySelector("rect").setAttribute("width", whole);
    one("axis").querySelector(".axis").setAttribute("d", `M${LEFT} ${AXIS}h${width}`);
    one("plot").querySelector("rect").setAttribute("width", width + 26);
  };
  const draw = () => {
    asked = false;
    const box = svg.getBoundingClientRect(), above = -box.top - 300, below = -box.top + innerHeight + 300;
    for (const row of rows) if (!row.hidden && row.y + row.height > above && row.y < below) place_row(row);
    follow();
  };
  const redraw = () => { if (!asked) { asked = true; requestAnimationFrame(draw); } };
  const change = () => {
    stamp++;
    place_axis();
    arrows.forEach(place_arrow);
    redraw();
  };
  const view = (a, b) => {
    const span = Math.min(Math.max(b - a, LEAST), END - BEGIN);
    from = Math.min(Math.max(a, BEGIN), END - span);
    until = from + span;
    change();
  };
  const zoom = (factor, at = (from + until) / 2) => view(at - (at - from) * factor, at + (until - at) * factor);
  const pan = share => view(from + share * (until - from), until + share * (until - from));
  const refold = () => { layout(); change(); };
  const resize = () => {
    if (is_print) return;
    width = Math.max(HEADER - LEFT, document.documentElement.clientWidth - LEFT - MARGIN);
    refold();
  };
  const print_begins = () => {
    is_print = true;
    width = Math.max(HEADER - LEFT, WIDTH);
    layout();
    change();
    layout(); // the copies of the axis have the new marks
    for (const row of rows) if (!row.hidden) place_row(row);
    set(one("axis"), "transform", `translate(0 ${TOP - AXIS})`);
  };
  const print_ends = () => {
    is_print = false;
    resize();
  };

  // ---- tooltips ----
  const titles = new WeakMap(), tip = one("tip");
  svg.querySelector(":scope > title").remove();
  const title_of = element => {
    for (let at = element; at && at !== svg; at = at.parentNode) {
      const title = [...at.children].find(child => child.tagName === "title");
      if (title) {
        titles.set(at, title.textContent);
        at.setAttribute("aria-label", title.textContent);
        title.remove(); // otherwise the browser shows it, too
      }
      if (titles.has(at)) return titles.get(at);
    }
    return "";
  };
  svg.addEventListener("pointermove", event => {
    const text = drag ? "" : title_of(event.target);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });

  // ---- pointer, wheel and keys ----
  let drag = null;
  const selection = make("rect", { id: "selection", y: 0 });
  svg.addEventListener("pointerdown", event => {
    if (event.button !== 0 || event.offsetX < LEFT) return;
    drag = { at: event.clientX, y: event.clientY, from, until, selects: event.shiftKey || event.target.closest("#axis"), moved: false };
  });
  addEventListener("pointermove", event => {
    if (!drag) return;
    const left = svg.getBoundingClientRect().left, moved = event.clientX - drag.at;
    drag.moved ||= Math.abs(moved) > 3 || Math.abs(event.clientY - drag.y) > 3;
    if (!drag.moved) return;
    svg.classList.add("dragged");
    if (drag.selects) {
      if (!selection.parentNode) svg.append(selection);
      set(selection, "x", Math.min(event.clientX, drag.at) - left);
      set(selection, "width", Math.abs(moved));
      set(selection, "height", height);
      return;
    }
    const shift = moved / width * (drag.until - drag.from);
    view(drag.from - shift, drag.until - shift);
    scrollBy(0, -event.movementY);
  });
  addEventListener("pointerup", event => {
    if (drag && drag.selects && drag.moved) {
      const left = svg.getBoundingClientRect().left, ends = [time(drag.at - left), time(event.clientX - left)].sort((a, b) => a - b);
      view(ends[0], ends[1]);
    }
    selection.remove();
    svg.classList.remove("dragged");
    setTimeout(() => { drag = null; });
  });
  svg.addEventListener("wheel", event => {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX, at = time(event.clientX - svg.getBoundingClientRect().left);
    const scrolls = document.documentElement.scrollHeight > innerHeight + 2;
    if (event.ctrlKey || event.metaKey || event.altKey || (!scrolls && !event.shiftKey && Math.abs(event.deltaY) > Math.abs(event.deltaX)))
      zoom(Math.exp(event.deltaY * (event.ctrlKey ? .004 : .0016)), at);
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      pan(sideways / width);
    else
      return;
    event.preventDefault();
  }, { passive: false });
  svg.addEventListener("dblclick", event => {
    const group = event.target.closest("[data-d]");
    if (group) view(number(group, "t") - number(group, "d") * .1, number(group, "t") + number(group, "d") * 1.1);
  });
  svg.addEventListener("click", event => {
    const name = event.target.closest(".name"), row = name && rows[Number(name.parentNode.id.slice(1))];
    if (!row || !row.is_group) return;
    row.folded = !row.folded;
    refold();
  });
  const fold_all = () => {
    const groups = rows.filter(row => row.element.classList.contains("branches")), folded = groups.some(row => !row.folded);
    for (const row of groups) row.folded = folded;
    refold();
  };
  const actions = {
    "+": () => zoom(.6), "=": () => zoom(.6), w: () => zoom(.6), "-": () => zoom(1 / .6), s: () => zoom(1 / .6),
    a: () => pan(-.2), d: () => pan(.2), ArrowLeft: () => pan(-.2), ArrowRight: () => pan(.2),
    0: () => view(BEGIN, END), e: fold_all, "/": () => one("search").focus(), n: () => go(1), N: () => go(-1),
  };
  addEventListener("keydown", event => {
    const is_typing = event.target.tagName === "INPUT";
    if (is_typing && event.key === "Escape") { event.target.value = ""; search(); event.target.blur(); }
    if (is_typing || event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    actions[event.key]();
    event.preventDefault();
  });

  // ---- search ----
  let index = null, hits = [], current = -1;
  const build_index = () => {
    index = [];
    const add = (element, row) => index.push({ element, row, t: Number(element.dataset.t ?? NaN), text: ((element.dataset.l || "") + "\n" + title_of(element)).toLowerCase() });
    rows.forEach((row, n) => { for (const element of find(".name, .plot > .b[data-l], .incident, .mark[data-t], .more", row.element)) add(element, n); });
    for (const arrow of arrows) add(arrow.group, arrow.from);
    for (const entry of index) {
      const step = entry.element.querySelector(".step");
      if (step) entry.t = number(step, "t");
    }
  };
  const search = () => {
    const wanted = one("search").value.trim().toLowerCase();
    for (const hit of hits) hit.element.classList.remove("found");
    if (wanted && !index) build_index();
    hits = wanted ? index.filter(entry => entry.text.includes(wanted)) : [];
    for (const hit of hits) hit.element.classList.add("found");
    current = -1;
    one("hits").textContent = wanted ? (hits.length ? hits.length.toLocaleString("en") + " found" : "not found") : "";
  };
  const go = step => {
    if (!hits.length) return;
    current = (current + step + hits.length) % hits.length;
    if (current < 0) current = hits.length - 1;
    const hit = hits[current];
    for (let n = hit.row, depth = rows[n].depth; n >= 0 && depth > 0; n--)
      if (rows[n].depth < depth) { rows[n].folded = false; depth = rows[n].depth; }
    layout();
    if (!Number.isNaN(hit.t) && (hit.t < from || hit.t > until)) view(hit.t - (until - from) / 2, hit.t + (until - from) / 2); else change();
    scrollTo({ top: svg.getBoundingClientRect().top + scrollY + rows[hit.row].y - innerHeight / 2 });
    one("hits").textContent = `${current + 1} of ${hits.length.toLocaleString("en")}`;
  };
  one("search").addEventListener("input", search);
  one("search").addEventListener("keydown", event => { if (event.key === "Enter") go(event.shiftKey ? -1 : 1); });
  for (const button of find("button", one("tools"))) button.addEventListener("click", () => actions[button.dataset.key]());

  document.body.classList.add("live");
  one("tools").hidden = false;
  addEventListener("resize", resize);
  addEventListener("scroll", redraw, { passive: true });
  addEventListener("beforeprint", print_begins);
  addEventListener("afterprint", print_ends);
  resize();
})();
