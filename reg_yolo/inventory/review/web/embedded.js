// The review inside report.html: assets from the report's own data, decisions kept in the page until they are downloaded.
function embeddedReview(data, box, showReport) {
  const {columns, rows, shapes, review: own} = data, col = Object.fromEntries(columns.map((name, k) => [name, k]));
  const value = (k, name) => name in col ? rows[k][col[name]] : null;
  const order = rows.map((_, k) => k).sort((a, b) => own.doubt[b] - own.doubt[a] || a - b);
  const rank = new Map(order.map((k, n) => [k, n])), numbers = new Map(rows.map((_, k) => [value(k, "asset_id"), k]));
  const nameKey = "reg_yolo reviewer", middles = shapes.map(shape => [0, 1].map(n => (shape[0][n] + shape.at(-1)[n]) / 2));
  let page = null, name = "";
  try { name = localStorage.getItem(nameKey) ?? ""; } catch { /* asked for each time */ }
  const seen = k => own.seen[k].map(([source, frame, x1, y1, x2, y2, label]) =>
    ({source: own.sources[source], frame, xyxy: [x1, y1, x2, y2], class: own.labels[label]}));
  const brief = k => ({id: value(k, "asset_id"), class: value(k, "class"), thumbnail: value(k, "thumbnail"), shape: shapes[k],
    state: value(k, "reviewed_by") || value(k, "decisions") ? "reviewed" : "", seen: seen(k)});
  const near = k => {
    const [latitude, longitude] = middles[k], shrunk = Math.cos(latitude * Math.PI / 180);
    const apart = n => 111320 * Math.hypot(middles[n][0] - latitude, (middles[n][1] - longitude) * shrunk);
    return order.filter(n => n !== k && Math.abs(middles[n][0] - latitude) < 3e-4 && apart(n) <= own.near_m).sort((a, b) => apart(a) - apart(b))
      .slice(0, own.most_near).map(n => ({...brief(n), distance_m: Number(apart(n).toFixed(1))}));
  };
  const asset = k => ({...brief(k), rank: rank.get(k), doubt: own.doubt[k], camera: null, observations: seen(k), near: near(k),
    columns: Object.fromEntries(own.shown.filter(one => value(k, one) !== null).map(one => [one, value(k, one)]))});
  const state = k => page.stateOf(brief(k));
  const provider = {
    queue: async (from, count, only) => ({
      reviewed: order.filter(state).length, total: rows.length,
      assets: count ? order.filter(k => rank.get(k) >= from && (!only || value(k, "class") === only) && !state(k)).slice(0, count).map(asset) : []}),
    asset: async id => asset(numbers.get(id)),
    history: async () => ({decisions: []}),
    ways: async () => data.ways,
  };
  page = new Review(box, provider, {build: own.build, who: name, classes: [...new Set(rows.map(row => row[col.class]))].sort(), words: own.words,
    column_labels: data.column_labels, tiles: data.tiles, close: showReport,
    named: chosen => { try { localStorage.setItem(nameKey, chosen); } catch { /* asked for each time */ } }});
  return page;
}
