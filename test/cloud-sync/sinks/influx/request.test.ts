import { readFileSync } from "node:fs";
import { createServer as createPlain, type RequestListener } from "node:http";
import { createServer as createTls } from "node:https";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { createInfluxApi } from "../../../../cloud-sync/sinks/influx/client.ts";
import { createAuthority } from "../../../support/certificates.ts";
import { rejects } from "../../../support/rejects.ts";
import { suite } from "../../../support/suite.ts";
import { tempFolder } from "../../../support/temp.ts";

const influx = suite("what answers in the place of an InfluxDB");
const { signal } = new AbortController();

async function served<T>(
  listener: RequestListener,
  work: (port: number) => Promise<T>,
  tls: { readonly cert: Buffer; readonly key: Buffer } | null = null,
): Promise<T> {
  const server = tls === null ? createPlain(listener) : createTls(tls, listener);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function apiAt(port: number, more: { version?: 1 | 2 | 3; ca?: string; scheme?: string } = {}) {
  const { version = 2, scheme = "http", ca } = more;
  const url = `${scheme}://127.0.0.1:${port}`;
  return createInfluxApi({ url, version, org: "o", bucket: "b", database: "d", token: "t", ca });
}

for (const [what, status, headers] of [
  ["a login page", 200, { "content-type": "text/html" }],
  ["an empty page", 200, {}],
  ["something created", 201, { "content-type": "application/json" }],
  ["something accepted", 202, {}],
  ["a redirection to a login page", 302, { location: "https://login.example/" }],
] as const) {
  influx(`has written nothing where it is ${what}`, async () => {
    const listener: RequestListener = (_, response) => {
      response.writeHead(status, headers).end("<html>");
    };
    await served(listener, async (port) => {
      for (const version of [1, 2, 3] as const) {
        const write = () => apiAt(port, { version }).write("b", ["a b=1 1"], signal);
        const error = await rejects(write, "influx.stranger");
        assert.is(error.remedy, "retry");
        assert.match(error.message, "that is not InfluxDB");
      }
    });
  });
}

influx("and an answer that is no JSON are told as what they are", async () => {
  const listener: RequestListener = (_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<html>");
  };
  await served(listener, async (port) => {
    const api = apiAt(port);
    await rejects(() => api.ask("GET", "/x", null, signal), "influx.stranger");
    await rejects(() => api.query("b", "SELECT 1", signal), "influx.stranger");
  });
});

influx("is reached behind a private authority where that is named", async () => {
  const temp = tempFolder("influx-tls");
  const authority = createAuthority(temp.path);
  const { certificateFile, keyFile } = authority.issue("influx");
  const tls = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  const listener: RequestListener = (_, response) => {
    response.writeHead(204).end();
  };
  const work = async (port: number): Promise<void> => {
    const unknown = apiAt(port, { scheme: "https" });
    const refuse = () => unknown.write("b", ["a b=1 1"], signal);
    const refused = await rejects(refuse, "influx.unreachable");
    assert.match(refused.hint ?? "", "influx.ca");
    const ca = readFileSync(authority.caFile, "utf8");
    const api = apiAt(port, { scheme: "https", ca });
    assert.is(await api.write("b", ["a b=1 1"], signal), null);
  };
  await served(listener, work, tls);
  temp.remove();
});

influx.run();
