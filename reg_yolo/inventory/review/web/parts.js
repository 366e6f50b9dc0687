// Ways to divide an asset's observations into two parts; null for those that go where the nearest one goes.
function splitProposals(observations, words) {
  const found = [];
  const propose = (name, parts) => {
    if (parts.includes(0) && parts.includes(1)) found.push({name, parts});
  };
  const frames = new Map();
  observations.forEach((one, n) => {
    const key = `${one.source}\n${one.frame}`;
    frames.set(key, [...(frames.get(key) ?? []), n]);
  });
  const twins = observations.map(() => null);
  for (const some of frames.values()) {
    if (some.length < 2) continue;
    some.sort((a, b) => observations[a].xyxy[0] - observations[b].xyxy[0]);
    twins[some[0]] = 0; twins[some[some.length - 1]] = 1;
  }
  propose(words.split_twins, twins);
  const counted = {};
  for (const one of observations) counted[one.class] = (counted[one.class] ?? 0) + 1;
  const [main] = Object.keys(counted).sort((a, b) => counted[b] - counted[a]);
  propose(words.split_class, observations.map(one => one.class === main ? 0 : 1));
  propose(words.split_source, observations.map(one => one.source === observations[0].source ? 0 : 1));
  let gap = 0, after = 0;
  observations.forEach((one, n) => {
    const before = observations[n - 1];
    if (before && before.source === one.source && one.frame - before.frame > gap) { gap = one.frame - before.frame; after = n; }
  });
  propose(words.split_gap, observations.map((_, n) => n < after ? 0 : 1));
  return found;
}
// At most eight, evenly chosen: more than half of what another build finds again decides.
function fewOf(some, most = 8) {
  if (some.length <= most) return some;
  const chosen = new Set(Array.from({length: most}, (_, n) => Math.round(n * (some.length - 1) / (most - 1))));
  return some.filter((_, n) => chosen.has(n));
}
