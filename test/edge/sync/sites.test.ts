/** Which centre has acknowledged what: a device that changes its site, and sites that lose something. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { answerVerifier } from "../../../shared/protocol/answer-proof.ts";
import { encodeMessage, nackSchema, topicOf } from "../../../shared/protocol/wire.ts";
import { AgentDevice } from "../../support/agent.ts";
import { CentreLink } from "../../support/centre-link.ts";
import { type Mosquitto, needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { newSigner } from "../../support/signer.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const sites = suite("sites");

/** A broker, and a centre behind it that signs what it says; null: it is of an earlier version. */
async function site(signer = newSigner() as ReturnType<typeof newSigner> | null) {
  const broker: Mosquitto = await startMosquitto();
  const link = new CentreLink(broker.url, {}, signer);
  await until("the centre is connected", () => link.client.connected);
  const name = signer === null ? "" : answerVerifier(signer.publicKey).site;
  const signing = signer === null ? {} : { signing: signer.publicKey.toString("base64") };
  return {
    link,
    name,
    bundle: { url: broker.url, ...signing },
    async stop() {
      link.client.end(true);
      await broker.stop();
    },
  };
}

/** Whether the centre holds each log of the device, byte for byte. */
function holds(link: CentreLink, device: AgentDevice): boolean {
  return [...device.logs()].every(
    ([log, lines]) => link.centre.lines(log).join("\n") === lines.join("\n"),
  );
}

if (needsMosquitto()) {
  sites(
    "another centre gets everything that it lacks, and the first one what it missed",
    async () => {
      const [home, other] = [await site(), await site()];
      const device = new AgentDevice(3_000);
      device.start(home.bundle);
      await until(
        "home has everything",
        () => device.lag(home.name) === 0 && holds(home.link, device),
      );
      await device.stop();
      assert.is(device.lag(other.name), 3_001, "what home has signed is nothing to the other");
      device.start(other.bundle);
      device.append(10);
      await until(
        "so has the other",
        () => device.lag(other.name) === 0 && holds(other.link, device),
      );
      assert.is(device.lag(home.name), 10);
      await device.stop();
      device.start(home.bundle);
      await until("home as well", () => device.lag(home.name) === 0 && holds(home.link, device));
      assert.ok(home.link.batches < 10, "and only that");
      await device.remove();
      await Promise.all([home.stop(), other.stop()]);
    },
  );

  sites("a centre that was restored from a backup is brought what it has lost", async () => {
    const home = await site();
    const device = new AgentDevice(2_500);
    device.start(home.bundle);
    await until("it has everything", () => device.lag(home.name) === 0);
    await device.stop();
    const [log = ""] = device.logs().keys();
    home.link.centre.forget(log, 700);
    device.start(home.bundle);
    await until("it has it again", () => holds(home.link, device));
    await until("and has said so", () => device.lag(home.name) === 0);
    await device.remove();
    await home.stop();
  });

  sites("answers that this site has not signed move nothing, whatever they say", async () => {
    const home = await site();
    home.link.mute = true;
    const device = new AgentDevice(100);
    device.start(home.bundle);
    await until("it sends", () => home.link.batches > 0);
    const [log = ""] = device.logs().keys();
    const topic = (channel: "ack" | "nack") => topicOf({ device: device.id, channel });
    const foreign = new CentreLink(home.bundle.url, {}, newSigner());
    await until("another answers", () => foreign.client.connected);
    const places = [1, 50, 101].map((seq) => ({ log, seq, hash: device.place(seq).hash }));
    for (const place of places) {
      await foreign.client.publishAsync(topic("ack"), JSON.stringify(place), { qos: 1 });
      for (const reason of ["gap", "fork"] as const) {
        const nack = encodeMessage(nackSchema, { ...place, reason });
        await foreign.client.publishAsync(topic("nack"), nack, { qos: 1 });
      }
    }
    await sleep(500);
    assert.is(device.lag(home.name), 101);
    assert.is(device.status?.halted ?? null, null);
    foreign.client.end(true);
    home.link.mute = false;
    await device.stop();
    device.start(home.bundle);
    await until("the site itself is believed", () => device.lag(home.name) === 0);
    await device.remove();
    await home.stop();
  });

  sites("a centre of an earlier version is understood, and understands", async () => {
    const home = await site(null);
    const device = new AgentDevice(100);
    device.start(home.bundle);
    await until("it has everything", () => device.lag() === 0 && holds(home.link, device));
    await device.remove();
    await home.stop();
  });
}

sites.run();
