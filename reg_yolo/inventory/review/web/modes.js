// What the keys do, and the steps that need more than one.
Object.assign(Review.prototype, {
  pressed(event) {
    if (this.box.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches?.("input, textarea, select"), key = event.code || event.key;
    if (key === "Escape") { event.preventDefault(); document.activeElement?.blur(); this.leave(); this.drawLeft(); this.drawMap(); return; }
    if (typing && !event.target.closest(".rv-panel")) return;
    if (this.mode) { this.step(event, key, typing); return; }
    // By its place on the keyboard, so that a Thai layout works; a key held down decides once.
    const action = Review.KEYS[key];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat) this.act(action);
  },
  async act(action) {
    // What is pressed while the disk is busy was not meant for the asset that comes next.
    if (this.busy) return;
    this.busy = true;
    try {
      const asset = this.current;
      if (action === "undo") await this.undo();
      else if (action === "back") await this.back();
      else if (!asset) return;
      else if (action === "accept" || action === "reject") await this.decide(action, [asset.seen], [asset.id]);
      else if (action === "skip") await this.advance(asset.rank + 1);
      else this.enter(action);
    } catch (error) { this.say(error.message); }
    finally { this.busy = false; }
  },
  enter(mode) {
    this.leave();
    this.mode = mode; this.at = 0; this.chosen = new Set();
    if (mode === "split") {
      this.proposals = splitProposals(this.current.observations, this.words);
      this.parts = [...(this.proposals[0]?.parts ?? this.current.observations.map(() => null))];
    }
    if (mode === "merge" && !this.current.near.length) { this.leave(); this.say(this.words.none_near); return; }
    this.drawLeft();
    this.drawMap().then(() => { if (mode === "move" && this.mode === "move") this.place(L.latLng(this.middle(this.current))); });
  },
  leave() { this.mode = null; this.chosen = null; this.parts = null; },
  step(event, key, typing) {
    const digit = /^(Digit|Numpad)[1-9]$/.test(key) ? Number(key.at(-1)) - 1 : null, enter = key === "Enter" || key === "NumpadEnter";
    if (enter) { event.preventDefault(); if (!event.repeat) this.finish(); return; }
    const arrow = {ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[key];
    if (this.mode === "move" && arrow) {
      event.preventDefault();
      const metres = event.shiftKey ? 5 : 0.5, here = this.marker.getLatLng(), degrees = metres / 111320;
      this.place(L.latLng(here.lat + arrow[0] * degrees, here.lng + arrow[1] * degrees / Math.cos(here.lat * Math.PI / 180)));
    } else if (this.mode === "merge" && digit !== null) { event.preventDefault(); this.choose(digit); }
    else if (this.mode === "split" && digit !== null) { event.preventDefault(); this.propose(digit); }
    else if (this.mode === "reclassify" && arrow && arrow[0]) { event.preventDefault(); this.at -= arrow[0]; this.fill(); }
    else if (!typing) event.preventDefault();
  },
  async finish() {
    const asset = this.current, mode = this.mode;
    if (this.busy) return;
    this.busy = true;
    try {
      if (mode === "move") {
        const {lat, lng} = this.marker.getLatLng();
        await this.decide("move", [asset.seen], [asset.id], {longitude: Number(lng.toFixed(8)), latitude: Number(lat.toFixed(8)), sigma_m: Review.SIGMA_M});
      } else if (mode === "reclassify") {
        const name = this.found()[this.at];
        if (name) await this.decide("reclassify", [asset.seen], [asset.id], {class: name});
      } else if (mode === "merge") {
        const others = asset.near.filter(one => this.chosen.has(one.id));
        if (others.length) await this.decide("merge", [asset, ...others].map(one => one.seen), [asset, ...others].map(one => one.id));
      } else if (mode === "split") {
        const parts = [0, 1].map(part => fewOf(asset.observations.filter((_, n) => this.parts[n] === part)));
        if (parts.every(part => part.length)) await this.decide("split", parts, [asset.id]);
      } else if (mode === "note") {
        this.why = this.box.querySelector(".rv-panel input").value.trim();
        this.leave(); this.drawLeft();
      }
    } finally { this.busy = false; }
  },
  panel() {
    const w = this.words, about = this.mode && this.el("div", {textContent: w[`how_${this.mode}`]});
    if (!this.mode) return null;
    const box = this.el("div", {className: "rv-panel"}, this.el("b", {textContent: w[this.mode]}), about);
    if (this.mode === "note") box.append(this.el("input", {value: this.why, maxLength: 500}));
    if (this.mode === "reclassify") {
      const input = this.el("input", {oninput: () => { this.at = 0; this.fill(); }});
      box.append(input, this.el("ol"));
      queueMicrotask(() => this.fill());
    }
    if (this.mode === "merge") box.append(...this.current.near.filter(one => this.chosen.has(one.id)).map(one => this.el("div", {textContent: `+ ${one.class} ${one.id}`})));
    if (this.mode === "split") {
      box.append(...this.proposals.map((one, n) => this.el("button", {onclick: () => this.propose(n)}, this.el("kbd", {textContent: n + 1}), one.name)));
      const few = new Set(fewOf(this.current.observations.map((_, n) => n), 40));
      box.append(this.el("div", {className: "rv-boxes"}, ...this.current.observations.map((one, n) => few.has(n) && this.el("figure",
        {className: `rv-part${this.parts[n]}`, onclick: () => { this.parts[n] = {0: 1, 1: null}[this.parts[n]] ?? (this.parts[n] === null ? 0 : null); this.drawLeft(); }},
        this.boxes([], one), `${one.frame} · ${one.class}`)).filter(Boolean)));
    }
    return box;
  },
  found() {
    const typed = this.box.querySelector(".rv-panel input")?.value.trim() ?? "", like = typed.toLowerCase();
    const own = this.current.class, some = this.classes.filter(name => name !== own && name.toLowerCase().includes(like));
    return typed && typed !== own && !this.classes.includes(typed) ? [...some, typed] : some;
  },
  fill() {
    const list = this.box.querySelector(".rv-panel ol"), some = this.found();
    if (!list) return;
    this.at = Math.max(0, Math.min(this.at, some.length - 1));
    list.replaceChildren(...some.map((name, n) => this.el("li", {className: n === this.at ? "rv-on" : "",
      textContent: this.classes.includes(name) ? name : this.words.new_class.replace("{name}", name),
      onclick: () => { this.at = n; this.finish(); }})));
    list.children[this.at]?.scrollIntoView({block: "nearest"});
  },
  place(latlng) {
    if (!this.marker) {
      this.marker = L.marker(latlng, {draggable: true, icon: L.divIcon({className: "rv-number-icon rv-chosen", html: "✛", iconSize: [18, 18]})}).addTo(this.layers);
    }
    this.marker.setLatLng(latlng);
    if (!this.map.getBounds().pad(-.05).contains(latlng)) this.map.panTo(latlng, {animate: false});
  },
  choose(n) {
    const one = this.current?.near[n];
    if (this.mode !== "merge" || !one) return;
    this.chosen.has(one.id) ? this.chosen.delete(one.id) : this.chosen.add(one.id);
    this.drawLeft(); this.drawMap();
  },
  propose(n) {
    if (!this.proposals[n]) return;
    this.parts = [...this.proposals[n].parts];
    this.drawLeft();
  },
});
