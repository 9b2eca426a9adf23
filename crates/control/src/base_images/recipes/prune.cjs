// prune.cjs DIRECTORY          removes packages that nothing here needs any more (what only a removed package depended on)
// prune.cjs --list DIRECTORY   prints name and version of each package
const fs = require('fs');
const path = require('path');

function packages(directory) {
  const found = new Map();
  for (const name of fs.readdirSync(directory)) {
    const places = name.startsWith('@') ? fs.readdirSync(path.join(directory, name)).map((n) => `${name}/${n}`) : [name];
    for (const place of places) {
      const manifest = path.join(directory, place, 'package.json');
      if (fs.existsSync(manifest)) found.set(place, JSON.parse(fs.readFileSync(manifest, 'utf8')));
    }
  }
  return found;
}

if (process.argv[2] === '--list') {
  for (const [name, manifest] of [...packages(process.argv[3])].sort()) console.log(`${name}@${manifest.version}`);
} else {
  const directory = process.argv[2];
  const all = packages(directory);
  const kept = new Set();
  const keep = (name) => {
    if (kept.has(name) || !all.has(name)) return;
    kept.add(name);
    const manifest = all.get(name);
    Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).forEach(keep);
    const own = path.join(directory, name, 'node_modules');
    if (fs.existsSync(own)) {
      for (const inner of packages(own).values()) Object.keys(inner.dependencies ?? {}).forEach(keep);
    }
  };
  for (const name of all.keys()) if (name.startsWith('@aws-sdk/') || name.startsWith('@aws/')) keep(name);
  for (const name of all.keys()) if (!kept.has(name)) fs.rmSync(path.join(directory, name), { recursive: true });
}
