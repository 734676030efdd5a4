// tsc emits only what it compiles: SQL migrations and pack manifests are copied beside it.
import { cpSync } from "node:fs";

const ASSET = /\.(sql|json)$/;

for (const room of ["edge", "cloud-sync", "shared"]) {
  cpSync(room, `dist/${room}`, {
    recursive: true,
    filter: (path) => !/\.[^/.]+$/.test(path) || ASSET.test(path),
    force: true,
  });
}
