import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as assert from "uvu/assert";
import { type Manifest, readManifest } from "../../../../edge/vision/manifest.ts";
import { pullPack } from "../../../../edge/vision/packs/pull.ts";
import { readTarball, UNUSABLE } from "../../../../edge/vision/packs/tarball.ts";
import { type Answer, serveFiles, withRanges } from "../../../support/file-server.ts";
import { rejects } from "../../../support/rejects.ts";
import { suite } from "../../../support/suite.ts";
import { tempFolder } from "../../../support/temp.ts";

const packages = suite("a model out of a package of npm's");

const NET = randomBytes(50_000);
const DETECTOR = randomBytes(10_000);

interface Entry {
  readonly name: string;
  readonly content?: Buffer;
  readonly type?: string;
  /** What the header says, where that is not the content's. */
  readonly size?: number;
  readonly link?: string;
}

/** A tar archive, POSIX.1-2017 ustar. */
function tar(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, content = Buffer.alloc(0), type = "0", size, link }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write("0000644\0", 100);
    header.write(`${(size ?? content.length).toString(8).padStart(11, "0")}\0`, 124);
    header.write(" ".repeat(8), 148);
    header.write(type, 156);
    header.write(link ?? "", 157, 100);
    header.write("ustar\0" + "00", 257);
    const sum = header.reduce((all, byte) => all + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A pax record counts its own length. */
function pax(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (length !== rest.length + `${length}`.length) length = rest.length + `${length}`.length;
  return Buffer.from(`${length}${rest}`);
}

const GOOD: readonly Entry[] = [
  {
    name: "package/package.json",
    content: Buffer.from('{"scripts":{"install":"touch /tmp/ran"}}'),
  },
  { name: "package/model/detector.onnx", content: DETECTOR },
  { name: "package/model/net.onnx", content: NET },
];

function manifest(archive: Buffer, name = "nets"): Manifest {
  const { pack } = readManifest("opencv");
  const { detector, embedder } = pack.models;
  const parts = [
    [detector, "detector.onnx", DETECTOR],
    [embedder, "net.onnx", NET],
  ] as const;
  const sources = parts.map(([model, file, content]) => {
    const sha256 = createHash("sha256").update(content).digest("hex");
    Object.assign(model, { file, bytes: content.length, sha256 });
    return {
      file,
      url: `npm:${name}@1.2.3/model/${file}`,
      tarball: {
        bytes: archive.length,
        integrity: `sha512-${createHash("sha512").update(archive).digest("base64")}`,
      },
      bytes: content.length,
      sha256,
      licence: "none",
      prepare: "none" as const,
      becomes: file,
    };
  });
  return { pack: { ...pack, name: "tiny" }, sources };
}

interface Pulling {
  readonly archive: Buffer;
  readonly pinned?: Buffer;
  readonly name?: string;
  readonly answer?: Answer;
  readonly from?: (folder: string) => string;
}

/** Pulls a pack from a registry that has this archive; returns what was asked of it. */
async function pulled(
  { archive, pinned = archive, name, answer, from }: Pulling,
  look: (models: string) => void = () => undefined,
): Promise<readonly string[]> {
  const folder = tempFolder("npm-package");
  const server = await serveFiles({ "nets-1.2.3.tgz": archive }, answer);
  try {
    await pullPack(folder.path, manifest(pinned, name), {
      from: from?.(folder.path),
      registry: async () => new URL(`${server.url}/some/registry/`),
      signal: new AbortController().signal,
      random: () => 0.5,
      firstRetryMs: 1,
      stallMs: 1_000,
    });
    assert.equal(readFileSync(join(folder.path, "tiny/net.onnx")), NET);
    assert.equal(readdirSync(join(folder.path, "tiny")).sort(), [
      "detector.onnx",
      "net.onnx",
      "pack.json",
    ]);
    look(folder.path);
    return server.requests;
  } finally {
    await server.close();
    folder.remove();
  }
}

packages("comes whole, also of a package with a scope, and leaves nothing else", async () => {
  const archive = gzipSync(tar(GOOD));
  const clean = (models: string): void => assert.equal(readdirSync(join(models, ".partial")), []);
  assert.equal(await pulled({ archive }, clean), ["/some/registry/nets/-/nets-1.2.3.tgz"]);
  const [scoped] = await pulled({ archive, name: "@door/nets" }, clean);
  assert.is(scoped, "/some/registry/@door/nets/-/nets-1.2.3.tgz");
});

packages("comes from a folder, as `npm pack` leaves it", async () => {
  const archive = gzipSync(tar(GOOD));
  const from = (folder: string): string => {
    writeFileSync(join(folder, "door-nets-1.2.3.tgz"), archive);
    return folder;
  };
  assert.equal(await pulled({ archive, name: "@door/nets", from }), []);
});

packages("comes from where a registry says that it keeps its archives", async () => {
  const archive = gzipSync(tar(GOOD));
  let elsewhere = "";
  const folder = await serveFiles({ blob: archive });
  elsewhere = `${folder.url}/blob`;
  const answers: Answer = (_content, response) => void response.writeHead(404).end();
  const asking = await serveFiles(
    {
      "nets-1.2.3.tgz": archive,
      "1.2.3": Buffer.from(JSON.stringify({ dist: { tarball: elsewhere } })),
    },
    (content, response, request, turn) => {
      if (request.url?.endsWith(".tgz")) answers(content, response, request, turn);
      else response.end(content);
    },
  );
  const models = tempFolder("npm-elsewhere");
  const { changed } = await pullPack(models.path, manifest(archive), {
    registry: async () => new URL(`${asking.url}/`),
    signal: new AbortController().signal,
    random: () => 0.5,
    firstRetryMs: 1,
  });
  assert.ok(changed);
  assert.equal(asking.requests.slice(0, 2), ["/nets/-/nets-1.2.3.tgz", "/nets/1.2.3"]);
  models.remove();
  await asking.close();
  await folder.close();
});

packages("goes on where the connection was cut", async () => {
  const archive = gzipSync(tar(GOOD));
  const requests = await pulled({
    archive,
    answer: (content, response, request, turn) => {
      if (turn > 1) return withRanges(content, response, request);
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 40_000), () => setTimeout(() => response.destroy(), 100));
    },
  });
  assert.match(requests[1] ?? "", /bytes=[1-9]\d*-$/);
});

packages("is refused when the archive is not the one that is pinned", async () => {
  const archive = gzipSync(tar(GOOD));
  const other = Buffer.from(archive);
  other[1_000] = (other[1_000] ?? 0) ^ 1;
  for (const wrong of [other, archive.subarray(0, -1), Buffer.concat([archive, Buffer.alloc(1)])]) {
    await rejects(() => pulled({ archive: wrong, pinned: archive }), "model.download.wrong");
  }
});

/** Archives that are pinned as they are, and still no good. */
const HOSTILE: Readonly<Record<string, readonly [entries: readonly Entry[], words: string]>> = {
  "the file is a link": [
    [{ name: "package/model/detector.onnx", type: "2", link: "/etc/passwd" }],
    "not as a file",
  ],
  "the file is a hard link": [
    [{ name: "package/model/detector.onnx", type: "1", link: "package/model/net.onnx" }],
    "not as a file",
  ],
  "the file is a folder": [[{ name: "package/model/detector.onnx", type: "5" }], "not as a file"],
  "it is not there": [[{ name: "package/other", content: NET }], "has no file"],
  "it is there by another way": [
    [{ name: "package/x/../model/detector.onnx", content: DETECTOR }],
    "has no file",
  ],
  "its size is another": [
    [{ name: "package/model/detector.onnx", content: NET }],
    "with 50000 bytes, not 10000",
  ],
  "it ends in the middle": [
    [{ name: "package/a", content: Buffer.alloc(10), size: 400_000_000 }],
    "ends too early",
  ],
  "it says that it unpacks to a terabyte": [
    [{ name: "package/a", size: 8 ** 11 - 1 }],
    "unpacks to more than",
  ],
  "a pax header says so": [
    [
      { name: "h", type: "x", content: pax("size", "900000000000") },
      { name: "package/a", content: DETECTOR },
    ],
    "unpacks to more than",
  ],
  "a header is too long": [
    [{ name: "h", type: "x", content: Buffer.alloc(100_000) }],
    "header that is too long",
  ],
  "a header is no header": [
    [{ name: "h", type: "x", content: Buffer.alloc(100, 0x39) }],
    "cannot be read",
  ],
};

for (const [what, [entries, words]] of Object.entries(HOSTILE)) {
  packages(`is refused when ${what}, and nothing is written`, async () => {
    const error = await rejects(
      () => pulled({ archive: gzipSync(tar(entries)) }),
      "model.download.wrong",
    );
    assert.ok(error.message.includes(words), error.message);
  });
}

packages("is found behind names that lead out, under a long name, and once", async () => {
  const long = `package/${"long/".repeat(40)}net.onnx`;
  const folder = tempFolder("npm-tar");
  const file = join(folder.path, "a.tgz");
  writeFileSync(
    file,
    gzipSync(
      tar([
        { name: "../../../escaped", content: DETECTOR },
        { name: "/tmp/porchlight-escaped", content: DETECTOR },
        { name: "g", type: "g", content: pax("path", "package/net.onnx") },
        { name: "h", type: "x", content: Buffer.concat([pax("mtime", "1"), pax("path", long)]) },
        { name: "package/short", content: NET },
        { name: "package/net.onnx", content: NET },
        { name: "package/net.onnx", content: DETECTOR },
      ]),
    ),
  );
  for (const path of [long, "package/net.onnx"]) {
    assert.equal(await readTarball(file, { path, bytes: NET.length }), NET);
  }
  const small = { path: "package/net.onnx", bytes: NET.length, unpackedBytesMax: 20_000 };
  assert.match(
    (await rejects(() => readTarball(file, small), UNUSABLE)).message,
    /more than 20000 bytes/,
  );
  writeFileSync(file, randomBytes(1_000));
  assert.match(
    (await rejects(() => readTarball(file, small), UNUSABLE)).message,
    /no gzip archive/,
  );
  writeFileSync(file, gzipSync(randomBytes(2_000)));
  assert.match((await rejects(() => readTarball(file, small), UNUSABLE)).message, /no tar archive/);
  assert.equal(readdirSync(folder.path), ["a.tgz"]);
  folder.remove();
});

packages.run();
