// tsc emits only what it compiles: SQL migrations and pack manifests are copied beside it.
import { cpSync, existsSync } from "node:fs";

const ASSET = /\.(sql|json)$/;

for (const room of ["edge", "cloud-sync", "shared"].filter((name) => existsSync(name))) {
  cpSync(room, `dist/${room}`, {
    recursive: true,
    filter: (path) => !/\.[^/.]+$/.test(path) || ASSET.test(path),
    force: true,
  });
}
