// Steps through a packet's walk. All comes in `data`, strings too; nothing is asked of the kernel.

const SPEED = 1800, GLIDE = 450; // milliseconds: a step while playing, the packet's way along a line
const SVG = "http://www.w3.org/2000/svg";

function tag(name, cls, text, ...children) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  if (text !== undefined && text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

function button(label, sign, act) {
  const made = tag("button", "", sign);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

// One header as a box with the next one inside.
function box(heads, payload, words, at = 0) {
  if (at === heads.length) {
    if (!payload) return "";
    return tag("div", "head data", null, tag("b", "", words.payload), tag("span", "len", fill(words.bytes, { n: payload })));
  }
  const head = heads[at];
  const made = tag("div", `head l-${head.layer.toLowerCase()} ${head.mark}`);
  const top = tag("div", "top", null, tag("b", "", head.layer), tag("span", "len", fill(words.bytes, { n: head.length })));
  if (head.mark) top.append(tag("span", "sign", words[head.mark]));
  const fields = tag("div", "fields");
  for (const [name, value, was] of head.fields) {
    const shown = tag("span", "field", null, tag("i", "", name), " ", tag(was ? "mark" : "span", "", value));
    if (was) shown.append(" ", tag("s", "", fill(words.was, { old: was })));
    fields.append(shown, " ");
  }
  made.append(top, fields, box(heads, payload, words, at + 1));
  return made;
}

// What happened at a step: words, what decided, and what went on beside it, folded.
function said(step, words) {
  const list = tag("ul", "said");
  for (const item of step.said) {
    const line = tag("li", item.end, (item.end && words[item.end] + " ") + item.text);
    if (item.aside) {
      const aside = tag("details", "", null, tag("summary", "", item.aside.title));
      aside.append(tag("ol", "", null, ...item.aside.lines.map((text) => tag("li", "", text))));
      line.append(aside);
    }
    list.append(line);
  }
  if (!step.said.length) list.append(tag("li", "", words.quiet));
  return list;
}

// The entries that decided, each beside the command that shows it.
function decided(step, words) {
  const table = tag("dl", "decided");
  for (const item of step.said.filter((item) => item.tool)) {
    table.append(tag("dt", "", null, tag("code", "", "$ " + item.tool)), tag("dd", "", null, tag("code", "", item.entry)));
  }
  return table.childElementCount ? [tag("h5", "", words.decided), table] : [];
}

function render({ model, el }) {
  const root = tag("div", "k8s-walk");
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  let data, steps, words, at, timer, frame, ui, dot;

  function build() {
    stop();
    data = model.get("data");
    ({ steps, words } = data);
    at = 0;
    root.replaceChildren();
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", words.label);
    root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the arrow keys
    root.tabIndex = -1;
    if (!steps.length) return root.append(tag("p", "none", words.none));
    ui = { play: button(words.play, "", toggle), slider: tag("input"), where: tag("output"), stage: tag("div", "stage"), panel: tag("div", "told"), below: tag("div", "below") };
    ui.live = tag("div", "hidden");
    ui.live.setAttribute("aria-live", "polite");
    Object.assign(ui.slider, { type: "range", min: 1, max: steps.length, step: 1 });
    ui.slider.setAttribute("aria-label", words.slider);
    ui.slider.addEventListener("input", () => go(ui.slider.valueAsNumber - 1));
    const bar = tag("div", "bar", null, button(words.first, "«", () => go(0)), button(words.back, "‹", () => go(at - 1)), ui.play,
      button(words.next, "›", () => go(at + 1)), button(words.last, "»", () => go(steps.length - 1)), ui.slider, ui.where);
    ui.stage.innerHTML = data.svg; // made by the library, every text in it escaped
    const picture = ui.stage.querySelector("svg");
    const wide = picture.width.baseVal.value, high = picture.height.baseVal.value;
    ui.grid = tag("div", wide > high * 1.15 ? "grid wide" : "grid", null, ui.stage, ui.panel);
    ui.grid.style.setProperty("--left", Math.min(500, wide * 0.7) + "px");
    root.append(bar, ui.grid, ui.below, tag("p", "hint", words.hint), ui.live);
    if (data.caption) root.append(tag("p", "caption", data.caption));
    dot = document.createElementNS(SVG, "circle");
    dot.setAttribute("class", "packet");
    dot.setAttribute("r", 6);
    picture.querySelector(".graph").append(dot);
    for (const node of picture.querySelectorAll(".node")) node.addEventListener("click", () => visit(node.id));
    label();
    show(0);
    settle();
  }

  function visit(id) { // the next time that the packet is there, else the first
    const later = steps.findIndex((step, n) => n > at && step.box === id);
    const found = later >= 0 ? later : steps.findIndex((step) => step.box === id);
    if (found >= 0) go(found);
  }

  function go(to) {
    stop();
    show(Math.max(0, Math.min(steps.length - 1, to)));
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    if (ui) label();
  }

  function toggle() {
    if (timer) return stop();
    if (at === steps.length - 1) show(0);
    timer = setInterval(() => (at < steps.length - 1 ? show(at + 1) : stop()), SPEED);
    label();
  }

  function label() {
    ui.play.title = timer ? words.pause : words.play;
    ui.play.textContent = (timer ? "❚❚ " : "▶ ") + ui.play.title;
    ui.play.setAttribute("aria-label", ui.play.title);
  }

  function show(to) {
    const forward = to === at + 1;
    at = to;
    const step = steps[at], last = at === steps.length - 1, where = fill(words.step, { n: at + 1, total: steps.length });
    ui.slider.value = at + 1;
    ui.slider.setAttribute("aria-valuetext", `${where}, ${step.place}`);
    ui.where.textContent = where;
    paint(last);
    tell(step);
    ui.below.replaceChildren(...decided(step, words));
    ui.live.textContent = step.live;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame((now) => glide(now, forward && !calm.matches));
  }

  function tell(step) {
    ui.panel.replaceChildren(tag("h4", "", step.place), said(step, words),
      tag("h5", "", words[step.ended || "packet"], tag("span", "len", fill(words.bytes, { n: step.length }))),
      ...(step.gone.length ? [tag("div", "gone", fill(words.gone, { layers: step.gone.join(", ") }))] : []),
      box(step.headers, step.payload, words));
  }

  function settle() { // as high as the highest step: what stands below does not jump
    if (!steps.length) return;
    ui.panel.style.minHeight = "";
    const heights = steps.map((step) => (tell(step), ui.panel.offsetHeight));
    ui.panel.style.minHeight = Math.max(...heights) + "px";
    tell(steps[at]);
    glide(0, false);
  }

  function paint(last) {
    const seen = new Set(steps.slice(0, at + 1).map((step) => step.box));
    for (const node of ui.stage.querySelectorAll(".node")) {
      const way = steps.some((step) => step.box === node.id);
      node.classList.toggle("now", node.id === steps[at].box);
      node.classList.toggle("ahead", node.id === "drop" ? !last : way && !seen.has(node.id));
      node.classList.toggle("on-way", way);
    }
    for (const edge of ui.stage.querySelectorAll(".edge.path")) {
      const n = edge.id === "hop-drop" ? steps.length : Number(edge.id.slice(4));
      edge.classList.toggle("ahead", edge.id === "hop-drop" ? !last : n > at);
      edge.classList.toggle("here", n === at);
    }
  }

  const find = (id) => (id ? ui.stage.querySelector("#" + CSS.escape(id)) : null);

  // The packet itself: a dot that runs along the line to its place and rests on the box's corner.
  function glide(start, moving) {
    const place = find(steps[at].box);
    const line = moving && find("hop-" + at)?.querySelector("path.line");
    const corner = (node) => { const b = node.getBBox(); return { x: b.x + b.width - 3, y: b.y + 3 }; };
    const put = ({ x, y }) => { dot.setAttribute("cx", x); dot.setAttribute("cy", y); };
    if (!place) return dot.setAttribute("r", 0);
    dot.setAttribute("r", 6);
    if (!line) return put(corner(place));
    const length = line.getTotalLength(), from = find(steps[at - 1].box)?.getBBox(), head = line.getPointAtLength(0), tail = line.getPointAtLength(length);
    const far = (point) => Math.hypot(point.x - from.x - from.width / 2, point.y - from.y - from.height / 2);
    const back = from && far(head) > far(tail); // a line that was laid out upside down
    const run = (now) => {
      const done = Math.min(1, (now - start) / GLIDE);
      if (done === 1) return put(corner(place));
      put(line.getPointAtLength((back ? 1 - done : done) * length));
      frame = requestAnimationFrame(run);
    };
    run(start);
  }

  root.addEventListener("keydown", (event) => {
    const move = { ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(steps.length - 1) }[event.key];
    if (!move || !steps.length || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  });
  let width;
  const watch = new ResizeObserver(([entry]) => { if (width !== (width = entry.contentRect.width)) settle(); });
  build();
  watch.observe(root);
  model.on("change:data", build);
  el.append(root);
  return () => { stop(); watch.disconnect(); cancelAnimationFrame(frame); model.off("change:data", build); };
}

export default { render };
