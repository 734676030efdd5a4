import { randomBytes } from "node:crypto";
import * as assert from "uvu/assert";
import { type SealPlace, seal, unseal } from "../../../shared/log/seal.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const sealing = suite("a sealed field");

const key = randomBytes(32);
const plain = Buffer.from('{"name":"Ada"}', "utf8");
const place: SealPlace = {
  log: "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11",
  seq: 7,
  type: "person.enrolled",
  subject: "7d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c22",
  class: "profile",
};

sealing("opens at its place with its key", () => {
  assert.equal(unseal(key, place, seal(key, place, plain)), plain);
  assert.equal(unseal(key, place, seal(key, place, Buffer.alloc(0))), Buffer.alloc(0));
});

sealing("opens at no other place: each field of it matters", async () => {
  const sealed = seal(key, place, plain);
  const elsewhere: readonly SealPlace[] = [
    { ...place, log: "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a12" },
    { ...place, seq: 8 },
    { ...place, type: "person.renamed" },
    { ...place, subject: "7d8e4f6c-50c5-4a6b-9a3e-2a1b7f0d9c23" },
    { ...place, class: "biometric" },
  ];
  for (const other of elsewhere) await rejects(() => unseal(key, other, sealed), "seal.broken");
});

sealing("does not open with another key", async () => {
  const sealed = seal(key, place, plain);
  await rejects(() => unseal(randomBytes(32), place, sealed), "seal.broken");
});

sealing("does not open when any byte of it was changed", async () => {
  const bytes = Buffer.from(seal(key, place, plain), "base64");
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] = (changed[i] ?? 0) ^ 1;
    await rejects(() => unseal(key, place, changed.toString("base64")), "seal.broken");
  }
});

sealing("does not open when cut short, however short", async () => {
  const bytes = Buffer.from(seal(key, place, plain), "base64");
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length).toString("base64");
    await rejects(() => unseal(key, place, cut), "seal.broken");
  }
});

sealing("a short tag of few bits is refused before it is tried", async () => {
  // A field of 4 bytes must not be taken for an empty content with a 32-bit tag.
  const error = await rejects(() => unseal(key, place, "AAAAAA=="), "seal.broken");
  assert.match(String(error.cause), /shorter than/);
});

sealing("is never the same twice, and shows nothing of its content but the length", () => {
  const sealed = Array.from({ length: 50 }, () => seal(key, place, plain));
  assert.is(new Set(sealed).size, 50);
  for (const each of sealed) {
    assert.not(Buffer.from(each, "base64").includes("Ada"));
    assert.is(Buffer.from(each, "base64").length, 12 + plain.length + 16);
  }
});

sealing("a key of another length is a programmer error", () => {
  assert.throws(() => seal(randomBytes(16), place, plain), /a subject key has 32 bytes/);
});

sealing.run();
