/**
 * Sessions of our own broker: by what password each came in, what it listens to, and how many
 * answers it has not acknowledged. A session ends with its connection; nothing is kept for it.
 */
import type { Client, PublishPacket } from "aedes";
import { ANSWERS_MAX } from "../fairness/limits.ts";

export interface BrokerStats {
  /** Logins that were refused unchecked: too many have failed, or are being checked. */
  readonly loginsRefused: number;
  /** Connections that were ended before they had logged in, to make room. */
  readonly unauthenticatedEnded: number;
  /** Sessions that were ended because answers were not acknowledged. */
  readonly unacknowledgedEnded: number;
}

export interface Sessions {
  /** A password of this device is being checked. */
  begin(client: Client, device: string): void;
  /** It was good, and made then; false where sessions of such a password were ended meanwhile. */
  letIn(client: Client, madeAt: Date): boolean;
  /** The client is gone. */
  end(client: Client): void;
  listens(client: Client, topic: string, qos: number): void;
  listensNoMore(client: Client, topics: readonly string[]): void;
  /** A PUBACK. */
  acknowledged(client: Client): void;
  /** Sends an answer to where the device listens; false where it does not take any more. */
  send(device: string, packet: PublishPacket): boolean;
  /** Ends the sessions of a device whose password is older than this moment; all without one. */
  disconnect(device: string, before?: Date): void;
  count(): number;
}

interface Session {
  readonly device: string;
  /** QoS by the topic. */
  readonly topics: Map<string, number>;
  madeAt: Date | null;
  /** Passwords older than that were taken away while one was being checked. */
  endedBefore: Date | null;
  unacknowledged: number;
}

export function createSessions(): Sessions {
  const sessions = new Map<Client, Session>();
  const byDevice = new Map<string, Set<Client>>();
  const isOld = (madeAt: Date, before: Date | null): boolean => before !== null && madeAt < before;
  const acknowledged = (client: Client): void => {
    const session = sessions.get(client);
    if (session !== undefined && session.unacknowledged > 0) session.unacknowledged--;
  };
  return {
    begin(client, device) {
      const own = byDevice.get(device) ?? new Set();
      byDevice.set(device, own.add(client));
      const fresh = { madeAt: null, endedBefore: null, unacknowledged: 0 };
      sessions.set(client, { device, topics: new Map(), ...fresh });
    },
    letIn(client, madeAt) {
      const session = sessions.get(client);
      if (session === undefined || isOld(madeAt, session.endedBefore)) return false;
      session.madeAt = madeAt;
      return true;
    },
    end(client) {
      const { device = "" } = sessions.get(client) ?? {};
      sessions.delete(client);
      const own = byDevice.get(device);
      own?.delete(client);
      if (own?.size === 0) byDevice.delete(device);
    },
    listens: (client, topic, qos) => void sessions.get(client)?.topics.set(topic, qos),
    listensNoMore(client, topics) {
      for (const topic of topics) sessions.get(client)?.topics.delete(topic);
    },
    acknowledged,
    send(device, packet) {
      let taken = true;
      for (const client of byDevice.get(device) ?? []) {
        const session = sessions.get(client);
        const qos = session?.topics.get(packet.topic);
        if (session === undefined || qos === undefined) continue;
        if (session.unacknowledged >= ANSWERS_MAX) {
          // What it does not read or acknowledge would pile up here.
          client.close();
          taken = false;
          continue;
        }
        session.unacknowledged++;
        // At QoS 0 there is no PUBACK: there it counts until the socket has taken it.
        client.publish(packet, () => void (qos === 0 && acknowledged(client)));
      }
      return taken;
    },
    disconnect(device, before) {
      for (const client of [...(byDevice.get(device) ?? [])]) {
        const session = sessions.get(client);
        if (session === undefined) continue;
        const { madeAt } = session;
        if (before !== undefined && madeAt === null) session.endedBefore = before;
        else if (before === undefined || (madeAt !== null && madeAt < before)) client.close();
      }
    },
    count: () => [...sessions.values()].filter(({ madeAt }) => madeAt !== null).length,
  };
}
