import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Manifest, readManifest } from "../../../../edge/vision/manifest.ts";
import { modelsOf } from "../../../../edge/vision/pack-schema.ts";
import { type Pulled, type PullOptions, pullPack } from "../../../../edge/vision/packs/pull.ts";
import { type Answer, serveFiles, withRanges } from "../../../support/file-server.ts";
import { rejects } from "../../../support/rejects.ts";
import { noRegistry } from "../../../support/shared-data.ts";
import { suite } from "../../../support/suite.ts";
import { tempFolder } from "../../../support/temp.ts";
import { until } from "../../../support/until.ts";

const pull = suite("pulling a model pack");

/** Two nets of random bytes: what is pulled is checked by its sha256 long before it is run. */
const NETS = { "detector.onnx": randomBytes(300_000), "embedder.onnx": randomBytes(200_000) };
const [DETECTOR, EMBEDDER] = [NETS["detector.onnx"], NETS["embedder.onnx"]];

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

function manifest(url = "https://publisher.invalid"): Manifest {
  const { pack } = readManifest("opencv");
  const { detector, embedder } = pack.models;
  for (const [model, file] of [
    [detector, "detector.onnx"],
    [embedder, "embedder.onnx"],
  ] as const) {
    const bytes = NETS[file];
    Object.assign(model, { file, bytes: bytes.length, sha256: sha256(bytes) });
  }
  const sources = modelsOf(pack).map(({ file, bytes, sha256: digest }) => ({
    file,
    url: `${url}/${file}`,
    bytes,
    sha256: digest,
    licence: "none",
    prepare: "none" as const,
    becomes: file,
  }));
  return { pack: { ...pack, name: "tiny" }, sources };
}

const QUICK = { registry: noRegistry, random: () => 0.5, firstRetryMs: 1, stallMs: 1_000 };
/** The folder of the attempt that runs. */
let current = "";

/** Pulls from a server that answers so, into a fresh folder. */
async function attempt<T>(
  answer: Answer,
  look: (at: {
    models: string;
    requests: readonly string[];
    pull(more?: Partial<PullOptions>): Promise<Pulled>;
  }) => Promise<T>,
): Promise<T> {
  const folder = tempFolder("pull");
  const server = await serveFiles(NETS, answer);
  current = folder.path;
  const stop = new AbortController();
  try {
    return await look({
      models: folder.path,
      requests: server.requests,
      pull: (more = {}) =>
        pullPack(folder.path, manifest(server.url), { ...QUICK, signal: stop.signal, ...more }),
    });
  } finally {
    await server.close();
    folder.remove();
  }
}

const partials = (models: string): string[] => {
  const folder = join(models, ".partial");
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** Sends a part, and cuts the connection once some is kept: what nobody has read goes with it. */
function cutInTheMiddle(content: Buffer, response: ServerResponse): void {
  response.writeHead(200, { "content-length": content.length });
  response.write(content.subarray(0, 100_000));
  const kept = (): boolean =>
    partials(current).some((name) => statSync(join(current, ".partial", name)).size > 0);
  void until("some of it is kept", kept).then(() => response.destroy());
}

function isWhole(models: string): void {
  assert.equal(readFileSync(join(models, "tiny/detector.onnx")), DETECTOR);
  assert.equal(readFileSync(join(models, "tiny/embedder.onnx")), EMBEDDER);
  assert.equal(partials(models), []);
}

function nothingInPlace(models: string): void {
  assert.equal(
    readdirSync(models).filter((name) => !name.startsWith(".")),
    [],
  );
}

pull("puts a pack in place, says how far it is, and leaves nothing else behind", async () => {
  await attempt(withRanges, async ({ models, requests, pull: run }) => {
    const steps: number[] = [];
    const { pack, changed } = await run({ progress: ({ done }) => steps.push(done) });
    assert.is(pack.id, "tiny@1.1.0");
    assert.ok(changed);
    assert.equal(requests, ["/detector.onnx", "/embedder.onnx"]);
    assert.ok(steps.includes(DETECTOR.length) && steps.includes(EMBEDDER.length));
    isWhole(models);
    assert.not.ok((await run()).changed, "a pack that is here is not pulled again");
    assert.is(requests.length, 2);
    writeFileSync(join(models, "tiny/detector.onnx"), "damaged");
    assert.ok((await run()).changed, "a damaged one is");
    isWhole(models);
  });
});

pull("goes on where a cut connection stopped", async () => {
  const cut: Answer = (content, response, request, turn) => {
    if (turn > 1) withRanges(content, response, request);
    else cutInTheMiddle(content, response);
  };
  await attempt(cut, async ({ models, requests, pull: run }) => {
    await run();
    const [first, second] = requests;
    assert.is(first, "/detector.onnx");
    assert.match(second ?? "", /^\/detector\.onnx bytes=[1-9]\d*-$/);
    isWhole(models);
  });
});

pull("begins anew with a server that knows no ranges", async () => {
  const ignoring: Answer = (content, response, _request, turn) => {
    if (turn === 1) cutInTheMiddle(content, response);
    else response.writeHead(200, { "content-length": content.length }).end(content);
  };
  await attempt(ignoring, async ({ models, requests, pull: run }) => {
    await run();
    assert.is(requests.length, 3);
    isWhole(models);
  });
});

pull(
  "begins anew when the server lacks the rest, or what was here is of another file",
  async () => {
    for (const earlier of [Buffer.alloc(1_000), Buffer.alloc(400_000), Buffer.alloc(300_000)]) {
      const grudging: Answer = (content, response, request, turn) => {
        if (turn === 1 && request.headers.range) response.writeHead(416).end();
        else withRanges(content, response, request);
      };
      for (const answer of [withRanges, grudging]) {
        await attempt(answer, async ({ models, pull: run }) => {
          mkdirSync(join(models, ".partial"));
          writeFileSync(join(models, ".partial", sha256(DETECTOR)), earlier);
          await run();
          isWhole(models);
        });
      }
    }
  },
);

pull("takes a redirect, a server that is busy once, and one that stalls once", async () => {
  const moved: Answer = (content, response, request, turn) => {
    if (turn === 1) response.writeHead(302, { location: "/elsewhere/detector.onnx" }).end();
    else if (turn === 2) response.writeHead(503).end();
    else if (turn === 4) response.writeHead(200).write(content.subarray(0, 5_000));
    else withRanges(content, response, request);
  };
  await attempt(moved, async ({ models, requests, pull: run }) => {
    await run();
    assert.is(requests[1], "/elsewhere/detector.onnx");
    isWhole(models);
  });
});

pull("refuses a file that is not the one pinned, and leaves nothing of it", async () => {
  const other: Answer = (content, response) => response.end(Buffer.alloc(content.length, 1));
  const longer: Answer = (content, response) => {
    response.write(content);
    response.end("and more");
  };
  const declared: Answer = (content, response) =>
    response.writeHead(200, { "content-length": content.length + 8 }).end(`${content}12345678`);
  for (const answer of [other, longer, declared]) {
    await attempt(answer, async ({ models, requests, pull: run }) => {
      const error = await rejects(() => run(), "model.download.wrong");
      assert.match(error.message, /^detector\.onnx /);
      assert.match(error.hint ?? "", /porchlight models pull tiny --from/);
      assert.is(requests.length, 1, "the same file would come again");
      nothingInPlace(models);
      assert.equal(partials(models), []);
    });
  }
});

pull(
  "says what is not there, at once; gives up on a dead server, but keeps what came",
  async () => {
    const gone: Answer = (_content, response) => response.writeHead(404).end();
    await attempt(gone, async ({ requests, pull: run }) => {
      await rejects(() => run(), "model.download.missing");
      assert.is(requests.length, 1);
    });
    const dying: Answer = (content, response, _request, turn) => {
      if (turn > 1) response.destroy();
      else cutInTheMiddle(content, response);
    };
    await attempt(dying, async ({ models, requests, pull: run }) => {
      const error = await rejects(() => run(), "model.download.unreachable");
      assert.match(error.hint ?? "", /resumes where it stopped/);
      assert.is(requests.length, 6);
      assert.equal(partials(models), [sha256(DETECTOR)]);
      nothingInPlace(models);
    });
  },
);

pull("stops when told to", async () => {
  const stop = new AbortController();
  const halting: Answer = (content, response) => {
    response.write(content.subarray(0, 50_000));
    setTimeout(() => stop.abort(), 50);
  };
  await attempt(halting, async ({ models, pull: run }) => {
    await rejects(() => run({ signal: stop.signal }), "model.download.stopped");
    nothingInPlace(models);
  });
});

pull("takes the files from a folder or from another address", async () => {
  await attempt(withRanges, async ({ models, requests, pull: run }) => {
    const usb = join(models, ".usb stick");
    mkdirSync(usb);
    await rejects(() => run({ from: usb }), "model.download.missing");
    await rejects(() => run({ from: join(models, ".nowhere") }), "model.download.from");
    for (const [name, bytes] of Object.entries(NETS)) writeFileSync(join(usb, name), bytes);
    writeFileSync(join(usb, "embedder.onnx"), Buffer.alloc(EMBEDDER.length));
    await rejects(() => run({ from: usb }), "model.download.wrong");
    writeFileSync(join(usb, "embedder.onnx"), "short");
    await rejects(() => run({ from: usb }), "model.download.wrong");
    nothingInPlace(models);
    writeFileSync(join(usb, "embedder.onnx"), EMBEDDER);
    await run({ from: usb });
    isWhole(models);
    assert.equal(requests, []);
  });
  await attempt(withRanges, async ({ models }) => {
    const mirror = await serveFiles(NETS);
    const { signal } = new AbortController();
    await pullPack(models, manifest(), { ...QUICK, signal, from: `${mirror.url}/a/b/?key=1` });
    assert.is(mirror.requests[0], "/a/b/detector.onnx?key=1");
    isWhole(models);
    await mirror.close();
  });
});

pull.run();
