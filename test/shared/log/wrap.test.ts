import {
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import * as assert from "uvu/assert";
import { canonicalJson } from "../../../shared/log/chain.ts";
import { fingerprintOf, siteIdOf, WRAPPED_BYTES } from "../../../shared/log/site-key.ts";
import { unwrapKey, type WrapPlace, wrapKey } from "../../../shared/log/wrap.ts";
import { rejects } from "../../support/rejects.ts";
import { newSite } from "../../support/released.ts";
import { suite } from "../../support/suite.ts";

const wrapping = suite("a key wrapped for a site");

const hex = (text: string): Buffer => Buffer.from(text, "hex");

/** RFC 9180, A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence 0. */
const RFC = {
  publicKey: hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"),
  privateKey: hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"),
  enc: hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
  info: hex("4f6465206f6e2061204772656369616e2055726e"),
  aad: hex("436f756e742d30"),
  plain: hex("4265617574792069732074727574682c20747275746820626561757479"),
  sealed: hex(
    "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
  ),
} as const;

type Opening = Pick<typeof RFC, "publicKey" | "privateKey" | "enc" | "info" | "aad" | "sealed">;

/** RFC 9180 once more, written from its text: sections 4, 4.1 and 5.1, to open one message. */
function openByHand(message: Opening, aead: "aes-128-gcm" | "aes-256-gcm"): Buffer {
  const [aeadId, keyBytes] = aead === "aes-128-gcm" ? [1, 16] : [2, 32];
  const i2osp = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
  const kemSuite = Buffer.concat([Buffer.from("KEM"), i2osp(0x20)]);
  const suiteId = Buffer.concat([Buffer.from("HPKE"), i2osp(0x20), i2osp(1), i2osp(aeadId)]);
  const extract = (id: Buffer, salt: Buffer, label: string, ikm: Buffer): Buffer =>
    createHmac("sha256", salt)
      .update(Buffer.concat([Buffer.from("HPKE-v1"), id, Buffer.from(label), ikm]))
      .digest();
  const expand = (id: Buffer, prk: Buffer, label: string, info: Buffer, bytes: number): Buffer => {
    const labelled = [i2osp(bytes), Buffer.from("HPKE-v1"), id, Buffer.from(label), info];
    let [block, out] = [Buffer.alloc(0), Buffer.alloc(0)];
    for (let i = 1; out.length < bytes; i++) {
      block = createHmac("sha256", prk)
        .update(Buffer.concat([block, ...labelled, Buffer.from([i])]))
        .digest();
      out = Buffer.concat([out, block]);
    }
    return out.subarray(0, bytes);
  };
  const none = Buffer.alloc(0);
  const pkcs8 = hex("302e020100300506032b656e04220420");
  const spki = hex("302a300506032b656e032100");
  const shared = diffieHellman({
    privateKey: createPrivateKey({
      key: Buffer.concat([pkcs8, message.privateKey]),
      format: "der",
      type: "pkcs8",
    }),
    publicKey: createPublicKey({
      key: Buffer.concat([spki, message.enc]),
      format: "der",
      type: "spki",
    }),
  });
  const kemContext = Buffer.concat([message.enc, message.publicKey]);
  const eaePrk = extract(kemSuite, none, "eae_prk", shared);
  const secret = expand(kemSuite, eaePrk, "shared_secret", kemContext, 32);
  const context = Buffer.concat([
    Buffer.from([0]),
    extract(suiteId, none, "psk_id_hash", none),
    extract(suiteId, none, "info_hash", message.info),
  ]);
  const schedule = extract(suiteId, secret, "secret", none);
  const key = expand(suiteId, schedule, "key", context, keyBytes);
  const nonce = expand(suiteId, schedule, "base_nonce", context, 12);
  const decipher = createDecipheriv(aead, key, nonce, { authTagLength: 16 });
  decipher.setAAD(message.aad).setAuthTag(message.sealed.subarray(-16));
  return Buffer.concat([decipher.update(message.sealed.subarray(0, -16)), decipher.final()]);
}

function place(more: Partial<WrapPlace> = {}): WrapPlace {
  return { device: randomUUID(), subject: randomUUID(), class: "biometric", ...more };
}

wrapping("the library opens what RFC 9180 has sealed (A.1.1)", async () => {
  const suiteOfRfc = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes128Gcm(),
  });
  const own = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer;
  const recipient = await suiteOfRfc.createRecipientContext({
    recipientKey: await suiteOfRfc.kem.deserializePrivateKey(own(RFC.privateKey)),
    enc: own(RFC.enc),
    info: own(RFC.info),
  });
  const opened = Buffer.from(await recipient.open(own(RFC.sealed), own(RFC.aad)));
  assert.ok(opened.equals(RFC.plain));
  assert.ok(openByHand(RFC, "aes-128-gcm").equals(RFC.plain), "and so does what is written here");
});

wrapping("whoever reads RFC 9180 can open it with the site's private key", async () => {
  const [site, key, at] = [newSite(), randomBytes(32), place()];
  const wrapped = await wrapKey(site.publicKey, at, key);
  assert.is(wrapped.length, WRAPPED_BYTES);
  const opened = openByHand(
    {
      ...site,
      enc: wrapped.subarray(0, 32),
      info: Buffer.from("porchlight/v1/keys"),
      aad: Buffer.from(canonicalJson([at.device, at.subject, at.class])),
      sealed: wrapped.subarray(32),
    },
    "aes-256-gcm",
  );
  assert.ok(opened.equals(key));
  assert.ok((await unwrapKey(site.privateKey, at, wrapped)).equals(key));
});

wrapping("it is another one each time, and shows nothing of the key", async () => {
  const [site, key, at] = [newSite(), randomBytes(32), place()];
  const [one, other] = [
    await wrapKey(site.publicKey, at, key),
    await wrapKey(site.publicKey, at, key),
  ];
  assert.not.ok(one.equals(other));
  assert.not.ok(one.includes(key.subarray(0, 8)));
});

wrapping("for another device, subject, class or site, or damaged, it does not open", async () => {
  const [site, key, at] = [newSite(), randomBytes(32), place()];
  const wrapped = await wrapKey(site.publicKey, at, key);
  const places = [
    place({ ...at, device: randomUUID() }),
    place({ ...at, subject: randomUUID() }),
    place({ ...at, class: "profile" }),
  ];
  for (const other of places) {
    await rejects(() => unwrapKey(site.privateKey, other, wrapped), "wrap.broken");
  }
  await rejects(() => unwrapKey(newSite().privateKey, at, wrapped), "wrap.broken");
  for (let byte = 0; byte < wrapped.length; byte++) {
    const damaged = Buffer.from(wrapped);
    damaged.writeUInt8(damaged.readUInt8(byte) ^ 1, byte);
    await rejects(() => unwrapKey(site.privateKey, at, damaged), "wrap.broken");
  }
  for (const length of [0, 31, 79, 81]) {
    const cut = Buffer.concat([wrapped, Buffer.alloc(1)]).subarray(0, length);
    await rejects(() => unwrapKey(site.privateKey, at, cut), "wrap.broken");
  }
});

wrapping("a site's key has one name, and a short one for people", () => {
  assert.is(siteIdOf(RFC.publicKey).length, 64);
  assert.match(fingerprintOf(RFC.publicKey), /^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
});

wrapping.run();
