// tsc emits only what it compiles, and removes nothing: SQL migrations and pack manifests are copied
// beside it, and what no longer has a source is deleted.
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const ASSET = /\.(sql|json)$/;
const ROOMS = ["edge", "cloud-sync", "shared"];

for (const room of ROOMS) {
  cpSync(room, `dist/${room}`, {
    recursive: true,
    filter: (path) => !/\.[^/.]+$/.test(path) || ASSET.test(path),
    force: true,
  });
}

for (const entry of ROOMS.flatMap((room) =>
  readdirSync(join("dist", room), { recursive: true, withFileTypes: true }),
)) {
  const compiled = join(entry.parentPath, entry.name);
  const source = compiled.slice("dist/".length).replace(/\.js$/, ".ts");
  if (!existsSync(source)) rmSync(compiled, { recursive: true, force: true });
}
