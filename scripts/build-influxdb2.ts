/**
 * Builds InfluxDB 2 for the full run: `go install` refuses it for its `replace`, and its Flux is
 * Rust. So its command is built as a module of its own, against a libflux built from the sources
 * that come with the Go module of Flux.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { INFLUXDB2 } from "../test/support/built.ts";
import { goIn, run } from "./run-program.ts";

const MODULE = `github.com/influxdata/influxdb/v2@${INFLUXDB2.version}`;
const FLUX = "github.com/influxdata/flux";
const downloaded = z.object({ Dir: z.string() });

export function buildInfluxdb2(folder: string, scratch: string): void {
  const env = goIn(scratch);
  const sourcesOf = (module: string): string => {
    const said = run("go", ["mod", "download", "-json", module], { env, cwd: scratch });
    return downloaded.parse(JSON.parse(said)).Dir;
  };
  const sources = sourcesOf(MODULE);
  const module = join(scratch, "module");
  mkdirSync(module);
  for (const file of ["go.mod", "go.sum"]) {
    writeFileSync(join(module, file), readFileSync(join(sources, file)));
  }
  for (const file of readdirSync(join(sources, "cmd/influxd"))) {
    if (!file.endsWith(".go")) continue;
    writeFileSync(join(module, file), readFileSync(join(sources, "cmd/influxd", file)));
  }
  const [, version = ""] =
    new RegExp(`${FLUX} (v\\S+)`).exec(readFileSync(join(module, "go.mod"), "utf8")) ?? [];
  const pkgConfig = buildFlux(sourcesOf(`${FLUX}@${version}`), join(scratch, "flux"), scratch);
  const edits = ["-module=porchlight.test/influxd", `-require=${MODULE}`];
  run("go", ["mod", "edit", ...edits, "-toolchain=none"], { env, cwd: module });
  run("go", ["build", "-ldflags=-s -w", "-o", join(folder, "influxd"), "."], {
    cwd: module,
    env: { ...env, GOFLAGS: "-modcacherw -mod=mod", PKG_CONFIG_PATH: pkgConfig },
  });
}

/** The folder with a flux.pc that names the static library: the shared one would have to go along. */
function buildFlux(sources: string, flux: string, scratch: string): string {
  for (const part of ["libflux", "stdlib"]) {
    cpSync(join(sources, part), join(flux, part), { recursive: true });
  }
  run("chmod", ["-R", "u+w", flux]);
  const cargo = ["build", "--release", "--locked", "-p", "flux", "--no-default-features"];
  const env = { CARGO_HOME: join(scratch, "cargo") };
  run("cargo", [...cargo, "--features", "cffi"], { cwd: join(flux, "libflux"), env });
  const built = join(flux, "libflux", "target", "release");
  rmSync(join(built, "libflux.so"), { force: true });
  const folder = join(scratch, "pkg-config");
  mkdirSync(folder);
  const libraries = `${join(built, "libflux.a")} -lm -ldl -lpthread`;
  const headers = join(flux, "libflux", "include");
  const about = "Name: flux\nVersion: 0\nDescription: Flux";
  writeFileSync(join(folder, "flux.pc"), `${about}\nLibs: ${libraries}\nCflags: -I${headers}\n`);
  return folder;
}
