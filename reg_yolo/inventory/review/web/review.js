// The review of assets, one at a time. `provider` gives assets and, with a server, takes decisions:
// queue(from, count, class) -> {reviewed, total, assets}, asset(id), history() -> {decisions}, ways(latitude, longitude),
// and send(record), which is missing where a download saves; then `state` of an asset follows from the page's store.
class Review {
  static KEYS = {KeyA: "accept", KeyR: "reject", KeyM: "move", KeyC: "reclassify", KeyG: "merge", KeyS: "split",
    Space: "skip", ArrowRight: "skip", ArrowLeft: "back", KeyU: "undo", KeyN: "note"};
  static SHOWN = {accept: "A", reject: "R", move: "M", reclassify: "C", merge: "G", split: "S", skip: "Space",
    back: "←", undo: "U", note: "N"};
  static SIGMA_M = 1.0;
  constructor(box, provider, data) {
    this.box = box; this.provider = provider; this.words = data.words; this.classes = data.classes;
    this.labels = data.column_labels; this.only = ""; this.ahead = []; this.visited = []; this.current = null;
    this.states = new Map(); this.done = []; this.counts = {reviewed: 0, total: 0}; this.mode = null; this.why = "";
    this.tiles = data.tiles;
    this.store = new DecisionStore({build: data.build, who: data.who, send: provider.send
      ? async record => this.count(await provider.send(record)) : null, changed: () => this.drawTop()});
    for (const record of this.store.records) this.note(record);
    this.draw(data);
    addEventListener("keydown", event => this.pressed(event));
  }
  async start() { await this.advance(0); if (this.provider.send) await this.store.flush(); }

  // -- what is decided --------------------------------------------------------------------------------------------
  count(answer) { this.counts = {reviewed: answer.reviewed, total: answer.total}; return answer; }
  stateOf(asset) { return this.states.has(asset.id) ? this.states.get(asset.id) : asset.state; }
  note(record) {
    if (record.action !== "undo") {
      this.done.push(record);
      for (const id of record.assets ?? []) this.states.set(id, record.action);
      return;
    }
    const at = this.done.findIndex(one => one.id === record.undoes);
    if (at < 0) return;
    const [undone] = this.done.splice(at, 1);
    for (const id of undone.assets ?? []) {
      this.states.set(id, this.done.findLast(one => one.assets?.includes(id))?.action ?? "");
    }
  }
  async decide(action, parts, assets, more = {}) {
    if (!this.store.who) return this.say(this.words.who_first);
    const record = this.store.make(action, parts, assets, {...more, ...(this.why ? {why: this.why} : {})});
    this.note(record);
    this.why = "";
    await this.store.add(record);
    if (!this.provider.send) this.count(await this.provider.queue(0, 0, ""));
    await this.advance((this.current?.rank ?? -1) + 1);
  }
  async undo() {
    let meant = this.done.findLast(one => one.who === this.store.who);
    if (!meant) meant = (await this.provider.history()).decisions.find(one => !one.undone);
    if (!meant) return this.say(this.words.nothing_to_undo);
    const record = this.store.make("undo", [], [], {undoes: meant.id});
    this.note(record);
    await this.store.add(record);
    if (!this.provider.send) this.count(await this.provider.queue(0, 0, ""));
    // What it was before this page was loaded, the server knows.
    if (this.provider.send && !this.store.unsaved) for (const id of meant.assets ?? []) this.states.delete(id);
    const shown = meant.assets?.length ? await this.provider.asset(meant.assets[0]).catch(() => null) : null;
    if (shown) this.show(shown); else await this.advance(0);
  }

  // -- what is shown ----------------------------------------------------------------------------------------------
  async advance(from) {
    const open = one => !this.stateOf(one) && one.rank >= from;
    this.ahead = this.ahead.filter(open);
    for (const start of this.ahead.length ? [] : [from, 0]) {
      let first = start;
      while (!this.ahead.length) {
        const answer = this.count(await this.provider.queue(first, 5, this.only));
        this.ahead = answer.assets.filter(one => !this.stateOf(one));
        if (answer.assets.length < 5) break;
        first = answer.assets.at(-1).rank + 1;
      }
      if (this.ahead.length) break;
    }
    this.show(this.ahead.shift() ?? null);
    for (const one of this.ahead) if (one.thumbnail) new Image().src = this.address(one.thumbnail);
  }
  async back() {
    this.visited.pop();
    const id = this.visited.pop();
    if (id !== undefined) this.show(await this.provider.asset(id));
  }
  show(asset) {
    this.current = asset;
    if (asset && this.visited.at(-1) !== asset.id) this.visited.push(asset.id);
    this.leave();
    this.drawTop(); this.drawLeft(); this.drawMap();
    this.box.dataset.asset = asset?.id ?? "";
    // How many assets were shown: what drives the page from outside waits for it.
    this.box.dataset.shown = Number(this.box.dataset.shown ?? 0) + 1;
  }
  el(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter(one => one !== null && one !== undefined));
    return made;
  }
  part(name) { return this.box.querySelector(`.rv-${name}`); }
  say(text) { this.said = text; this.drawTop(); }
  draw(data) {
    const w = this.words, select = this.el("select", {className: "rv-only", title: w.only});
    select.append(this.el("option", {value: "", textContent: w.every_class}),
      ...this.classes.map(name => this.el("option", {value: name, textContent: name})));
    select.onchange = () => { this.only = select.value; this.ahead = []; select.blur(); this.advance(0); };
    const who = this.provider.send ? this.el("span", {textContent: data.who})
      : this.el("input", {className: "rv-who", placeholder: w.your_name, value: data.who, size: 14});
    if (!this.provider.send) who.onchange = () => { this.store.who = who.value.trim(); data.named(who.value.trim()); who.blur(); };
    const save = this.el("button", {className: "rv-download", textContent: w.download, onclick: () => this.store.download()});
    this.box.classList.add("rv");
    this.box.replaceChildren(
      this.el("div", {className: "rv-top"}, this.el("b", {textContent: w.title}), this.el("span", {className: "rv-count"}),
        this.el("progress", {max: 1, value: 0}), select, who, this.el("span", {className: "rv-gap"}),
        this.el("span", {className: "rv-error"}), this.el("span", {className: "rv-store"}), save,
        data.close ? this.el("button", {textContent: w.close, onclick: data.close}) : null),
      this.el("div", {className: "rv-main"}, this.el("div", {className: "rv-left"}),
        this.el("div", {className: "rv-right"}, this.el("div", {className: "rv-map"}))),
      this.el("div", {className: "rv-keys"}, ...Object.entries(Review.SHOWN).map(([action, key]) => this.el("button",
        {onclick: event => { event.target.blur(); this.act(action); }}, this.el("kbd", {textContent: key}), w[action]))));
  }
  drawTop() {
    const {reviewed, total} = this.counts, unsaved = this.store.unsaved, w = this.words, at = this.part("store");
    if (!at) return;
    this.part("count").textContent = w.count.replace("{reviewed}", reviewed.toLocaleString()).replace("{total}", total.toLocaleString());
    this.box.querySelector("progress").value = total ? reviewed / total : 0;
    at.className = `rv-store ${unsaved ? "rv-unsaved" : "rv-saved"}`;
    at.textContent = unsaved ? w.unsaved.replace("{count}", unsaved) : this.provider.send || this.store.kept.length ? w.saved : "";
    this.part("download").hidden = this.provider.send && !unsaved;
    this.part("error").textContent = this.part("error").title = this.said ?? (this.store.netless && unsaved ? w.netless : this.store.error);
    this.said = undefined;
  }
  address(path) { return path.split("/").map(encodeURIComponent).join("/"); }
  picture(asset) {
    if (!asset.thumbnail) return this.el("div", {className: "rv-picture"}, this.boxes(asset.seen));
    const image = this.el("img", {alt: "", src: this.address(asset.thumbnail)});
    image.onerror = () => image.replaceWith(this.boxes(asset.seen));
    return this.el("div", {className: "rv-picture"}, image);
  }
  // Where in the frames it was seen, for want of an image; frames are as large as what was seen in them.
  boxes(seen, own = null) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), all = (own ? this.current.observations : seen) ?? [];
    const [wide, high] = [2, 3].map(k => Math.max(64, ...all.map(one => one.xyxy[k])));
    svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    for (const one of own ? [own] : seen) {
      const [x1, y1, x2, y2] = one.xyxy, box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const values = {x: x1, y: y1, width: x2 - x1, height: y2 - y1, fill: "#1f77b433", stroke: "#1f77b4", "stroke-width": wide / 120};
      for (const [name, value] of Object.entries(values)) box.setAttribute(name, value);
      svg.append(box);
    }
    return svg;
  }
  drawLeft() {
    const asset = this.current, w = this.words, left = this.part("left");
    if (!asset) { left.replaceChildren(this.el("div", {className: "rv-empty", textContent: w.all_done})); return; }
    const state = this.stateOf(asset), cell = value => this.el("td", {textContent: value});
    const near = asset.near.map((one, n) => this.el("div", {className: `rv-card ${this.chosen?.has(one.id) ? "rv-chosen" : ""}`,
      onclick: () => this.choose(n)}, this.picture(one), this.el("span", {className: "rv-number", textContent: n + 1}),
      `${one.class} · ${one.distance_m} m`, this.stateOf(one) ? this.el("div", {className: "rv-id", textContent: w[this.stateOf(one)] ?? this.stateOf(one)}) : null));
    const facts = Object.entries(asset.columns).map(([name, value]) => this.el("tr", {}, cell(this.labels[name] ?? name), cell(value)));
    facts.unshift(this.el("tr", {}, cell(w.doubt), cell(asset.doubt)));
    left.replaceChildren(
      this.el("div", {className: "rv-head"}, this.el("h2", {textContent: asset.class}), this.el("span", {className: "rv-id", textContent: asset.id}),
        state ? this.el("span", {className: "rv-state", textContent: w[state] ?? state}) : null),
      this.panel() ?? "",
      this.el("div", {className: "rv-cards"}, this.el("div", {className: "rv-card rv-own"}, this.picture(asset),
        this.why ? this.el("div", {className: "rv-id", textContent: `${w.note}: ${this.why}`}) : null), ...near),
      this.el("table", {className: "rv-facts"}, ...facts));
    left.querySelector(".rv-panel input")?.focus();
  }
  async drawMap() {
    const asset = this.current;
    if (!this.map) {
      this.map = L.map(this.part("map"), {maxZoom: 23, zoomSnap: 0.5, keyboard: false, attributionControl: !!this.tiles});
      if (this.tiles) L.tileLayer(this.tiles, {maxZoom: 23, maxNativeZoom: 19}).addTo(this.map);
      L.control.scale({imperial: false}).addTo(this.map);
      this.layers = L.layerGroup().addTo(this.map); this.ground = L.layerGroup().addTo(this.map);
      this.map.on("click", event => { if (this.mode === "move") this.place(event.latlng); });
    }
    this.layers.clearLayers(); this.marker = null;
    if (!asset) { if (!this.map._loaded) this.map.setView([0, 0], 1); return; }
    const middle = this.middle(asset), add = layer => this.layers.addLayer(layer), colour = "#1f77b4";
    const sigma = Math.hypot(asset.columns.sigma_along_m ?? 0, asset.columns.sigma_across_m ?? 0) / Math.SQRT2;
    if (asset.camera) add(L.polyline([asset.camera, middle], {color: "#999", weight: 1, dashArray: "4 4", interactive: false}));
    if (asset.camera) add(L.circleMarker(asset.camera, {radius: 4, color: "#666", weight: 1}).bindTooltip(this.words.camera));
    if (sigma) add(L.circle(middle, {radius: 2.45 * sigma, color: colour, weight: 1, fillOpacity: .06, interactive: false}));
    asset.near.forEach((one, n) => {
      if (one.shape.length > 1) add(L.polyline(one.shape, {color: "#888", weight: 3}));
      const icon = L.divIcon({className: `rv-number-icon ${this.chosen?.has(one.id) ? "rv-chosen" : ""}`, html: n + 1, iconSize: [18, 18]});
      add(L.marker(this.middle(one), {icon, opacity: .8, title: `${one.class} ${one.id}`}).on("click", () => this.choose(n)));
    });
    if (asset.shape.length > 1) add(L.polyline(asset.shape, {color: colour, weight: 5}));
    add(L.circleMarker(middle, {radius: 7, color: colour, weight: 3, fillOpacity: .6, interactive: false}));
    if (this.shownAt !== asset.id) {
      this.shownAt = asset.id;
      this.map.setView(middle, Math.min(20, Math.max(17, 20 - Math.log2(Math.max(1, sigma / 2)))), {animate: false});
      const ways = await this.provider.ways(...middle).catch(() => []);
      if (this.current !== asset) return;
      this.ground.clearLayers();
      for (const way of ways) this.ground.addLayer(L.polyline(way, {color: "#2ca02c", weight: 3, opacity: .4, interactive: false}));
    }
  }
  middle(asset) {
    const [first, last] = [asset.shape[0], asset.shape.at(-1)];
    return [(first[0] + last[0]) / 2, (first[1] + last[1]) / 2];
  }
}
