import { readdirSync, readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "./support/suite.ts";

const house = suite("house style");

/** The files that may import each vendor library. */
const HOMES: Readonly<Record<string, RegExp>> = {
  "onnxruntime-node": /^edge\/vision\/session\.ts$/,
  sharp: /^edge\/vision\/image\.ts$/,
  "better-sqlite3": /^edge\/sqlite\/database\.ts$/,
  "sqlite-vec": /^edge\/sqlite\/database\.ts$/,
  canonicalize: /^shared\/log\/chain\.ts$/,
  "node-libcamera": /^edge\/camera\/libcamera\.ts$/,
  mqtt: /^(edge\/sync\/link|cloud-sync\/mqtt\/external-broker)\.ts$/,
  aedes: /^cloud-sync\/mqtt\/embedded-broker\.ts$/,
  "@aws-sdk/client-s3": /^cloud-sync\/objects\/s3\.ts$/,
  "@aws-sdk/s3-request-presigner": /^cloud-sync\/objects\/s3\.ts$/,
  pg: /^cloud-sync\/postgres\//,
  "pg-copy-streams": /^cloud-sync\/postgres\//,
  "@peculiar/x509": /^cloud-sync\/host\/certificate-authority\.ts$/,
  "@hpke/core": /^shared\/log\/wrap\.ts$/,
  "prom-client": /^cloud-sync\/api\/metrics\.ts$/,
};

interface Source {
  readonly path: string;
  readonly text: string;
}

const sources: readonly Source[] = ["cloud-sync", "edge", "shared"].flatMap((room) =>
  readdirSync(room, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({ path: `${room}/${path}`, text: readFileSync(`${room}/${path}`, "utf8") })),
);

for (const [vendor, home] of Object.entries(HOMES)) {
  house(`${vendor} has one home`, () => {
    // A type alone binds nobody to how the library works.
    const imports = new RegExp(
      `^import (?!type )[^;]*from "${vendor}"|import\\("${vendor}"\\)`,
      "m",
    );
    const users = sources.filter(({ text }) => imports.test(text)).map(({ path }) => path);
    assert.ok(users.length > 0, `nobody uses ${vendor}`);
    assert.equal(
      users.filter((path) => !home.test(path)),
      [],
    );
  });
}

house("only a composition root reads the environment", () => {
  const roots =
    /^(edge\/(daemon\/daemon-main|relay\/relay-main|agent\/agent-main|cli\/command-line)|cloud-sync\/cli\/command-line)\.ts$/;
  const readers = sources
    // session.ts forbids telemetry there before the library loads, and reads nothing.
    .filter(({ path, text }) => !roots.test(path) && /process\.env(?!\["ORT_)/.test(text))
    .map(({ path }) => path);
  assert.equal(readers, []);
});

house("nothing unfinished is left in a source", () => {
  const unfinished = sources.filter(({ text }) => /\b(TODO|FIXME|XXX)\b/.test(text));
  assert.equal(
    unfinished.map(({ path }) => path),
    [],
  );
});

house("a comment names files that are there", () => {
  const files = ["cloud-sync", "docs", "edge", "scripts", "shared", "test"].flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: "utf8" }).map((path) => `/${room}/${path}`),
  );
  const gone = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:^ *\/?\*|\/\/).*$/gm)]
      .flatMap(([comment]) => [...comment.matchAll(/[\w-][\w./-]*\.(?:ts|md)\b/g)])
      .map(([name]) => name)
      .filter((name) => !files.some((file) => file.endsWith(`/${name}`)))
      .map((name) => `${path}: ${name}`),
  );
  assert.equal(gone, []);
});

house.run();
