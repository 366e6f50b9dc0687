"use strict";
// Decisions that the page has made and nobody has on a disk yet; localStorage holds them meanwhile, one key each.
class DecisionStore {
  // send: posts a record and resolves, or rejects with an error whose `refused` says that trying again is of no use;
  // null where there is no server, and a download is what saves.
  constructor({build, who, send, changed}) {
    this.prefix = `reg_yolo review ${build} `;
    this.who = who; this.send = send; this.changed = changed;
    this.kept = []; this.error = ""; this.netless = false; this.last = 0;
    try {
      for (let n = 0; n < localStorage.length; n++) {
        const key = localStorage.key(n);
        if (key.startsWith(this.prefix)) this.kept.push(JSON.parse(localStorage.getItem(key)));
      }
    } catch { this.netless = true; }
    this.kept.sort((one, other) => one.record.when < other.record.when ? -1 : 1);
    addEventListener("beforeunload", event => { if (this.unsaved) event.preventDefault(); });
    if (send) setInterval(() => { if (this.kept.length) this.flush(); }, 2000);
  }
  get unsaved() { return this.kept.filter(one => !one.saved).length; }
  get records() { return this.kept.map(one => one.record); }
  make(action, parts, assets, more = {}) {
    // A millisecond apart at least: the order in time says which of two decisions holds.
    this.last = Math.max(Date.now(), this.last + 1);
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const id = [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("");
    const plain = part => part.map(({source, frame, xyxy}) => ({source, frame, xyxy}));
    const named = action === "merge" || action === "split" ? {parts: parts.map(plain)}
      : parts.length ? {observations: plain(parts[0])} : {};
    return {schema: "reg_yolo.decisions/1", id, who: this.who, when: new Date(this.last).toISOString(), why: "", action,
      ...named, ...more, ...(assets.length ? {assets} : {})};
  }
  async add(record) {
    const one = {record, saved: false};
    this.kept.push(one);
    this.keep(one);
    if (this.send) await this.flush();
    else this.changed();
  }
  keep(one) {
    try { localStorage.setItem(this.prefix + one.record.id, JSON.stringify(one)); }
    catch { this.netless = true; }
  }
  // Sends what is not saved, in the order in which it was decided; resolves when there is nothing more to try.
  flush() {
    this.sending = (this.sending ?? Promise.resolve()).then(() => this.sendAll());
    return this.sending;
  }
  async sendAll() {
    for (const one of [...this.kept]) {
      if (one.record.who !== this.who) continue;
      try {
        await this.send(one.record);
        this.kept.splice(this.kept.indexOf(one), 1);
        this.error = "";
        try { localStorage.removeItem(this.prefix + one.record.id); } catch { this.netless = true; }
      } catch (error) {
        this.error = error.message;
        if (!error.refused) break;
      }
    }
    this.changed();
  }
  download() {
    const text = this.kept.map(one => JSON.stringify(one.record) + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type: "application/jsonl"}));
    link.download = `decisions_${(this.who || "unsaved").replace(/[<>:"/\\|?*%#\s]+/g, "_")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    // With a server, what was downloaded is still to be sent.
    if (!this.send) for (const one of this.kept) if (!one.saved) { one.saved = true; this.keep(one); }
    this.changed();
  }
}
