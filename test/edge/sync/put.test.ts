import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { createPut, isLocal } from "../../../edge/sync/put.ts";
import { freePort } from "../../support/port.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const putting = suite("where an upload goes");
const unaborted = new AbortController().signal;
const HASH = "ab".repeat(32);

putting("a grant leads to no service of this machine, however it is written", async () => {
  const port = await freePort();
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end();
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  const put = createPut({ ca: undefined, local: false });
  const headers = { "content-length": "1" };
  for (const url of [
    `http://127.0.0.1:${port}/api/admin?restart=1`,
    `https://127.0.0.1:${port}/`,
    `https://2130706433:${port}/`,
    `https://127.1:${port}/`,
    `https://0.0.0.0:${port}/`,
    `https://[::1]:${port}/`,
    `https://[::ffff:127.0.0.1]:${port}/`,
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://user:password@192.168.1.1/",
  ]) {
    await rejects(() => put({ url, headers }, Buffer.from("x"), unaborted), "upload.refused");
  }
  // A name is looked up first, and leads here all the same.
  await rejects(
    () => put({ url: `https://localhost:${port}/`, headers }, Buffer.from("x"), unaborted),
    "upload.failed",
  );
  assert.is(asked, 0);
  // Where the centre itself is on this machine, it is asked.
  const own = createPut({ ca: undefined, local: true });
  const answer = await own(
    { url: `http://127.0.0.1:${port}/`, headers },
    Buffer.from("x"),
    unaborted,
  );
  assert.equal(answer, { status: 200, code: null });
  assert.is(asked, 1);
  server.close();
});

putting(
  "a refusal is told by S3's own word for it, and by nothing else of the answer",
  async () => {
    const put = createPut({ ca: undefined, local: true });
    const bodies: [string, string | null][] = [
      [
        "<Error><Code>RequestTimeTooSkewed</Code><Message>x</Message></Error>",
        "RequestTimeTooSkewed",
      ],
      ["<Error><Code>\u001b[31mred</Code></Error>", null],
      [`${"x".repeat(100_000)}<Code>Late</Code>`, null],
      ["no XML", null],
    ];
    for (const [body, code] of bodies) {
      const server = createServer((_, response) => void response.writeHead(403).end(body));
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      const { port: at } = server.address() as AddressInfo;
      const target = { url: `http://127.0.0.1:${at}/`, headers: {} };
      assert.equal(await put(target, Buffer.from("x"), unaborted), { status: 403, code });
      server.close();
    }
  },
);

putting("and says nothing that no upload needs", async () => {
  const put = createPut({ ca: undefined, local: true });
  const url = "http://127.0.0.1:9/";
  for (const name of ["host", "authorization", "cookie", "x-forwarded-for", "transfer-encoding"]) {
    await rejects(
      () => put({ url, headers: { [name]: "x" } }, Buffer.from("x"), unaborted),
      "upload.refused",
    );
  }
  for (const name of ["x-amz-checksum-sha256", "if-none-match", "x-porchlight-sha256"]) {
    await rejects(
      () => put({ url, headers: { [name]: HASH } }, Buffer.from("x"), unaborted),
      "upload.failed",
    );
  }
});

putting("a broker is here where its address is", () => {
  for (const url of ["mqtt://127.0.0.1", "mqtts://localhost:8883", "ws://[::1]/mqtt"]) {
    assert.ok(isLocal(url), url);
  }
  for (const url of ["mqtts://centre.example", "mqtts://192.168.1.2", "mqtts://[2001:db8::1]"]) {
    assert.not(isLocal(url), url);
  }
});

putting.run();
