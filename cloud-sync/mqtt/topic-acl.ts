/**
 * Who may do what on the broker: a device publishes on its own up-channels and listens on its own
 * down-channels (shared/protocol/wire.ts), and nowhere else. One table of channels, two ways to enforce it:
 * the embedded broker asks these functions, Mosquitto reads the file that is made here.
 */
import { CHANNELS, type Channel, filterOf, parseTopic } from "../../shared/protocol/wire.ts";

/** The user of ingest and of all that speaks for the centre. */
export const CENTRE_USER = "porchlight-centre";

export function mayPublish(device: string, topic: string): boolean {
  const parsed = parseTopic(topic);
  return parsed?.device === device && CHANNELS[parsed.channel] === "up";
}

/** A filter with a wildcard is no topic of anybody's. */
export function maySubscribe(device: string, filter: string): boolean {
  const parsed = parseTopic(filter);
  return parsed?.device === device && CHANNELS[parsed.channel] === "down";
}

/** mosquitto.conf(5), acl_file. Users are devices by their ids; %u is the user. */
export function mosquittoAcl(): string {
  const channels = Object.entries(CHANNELS).sort(([, a], [, b]) => b.localeCompare(a));
  const lines = (make: (filter: string, way: "up" | "down") => string): string =>
    channels.map(([channel, way]) => make(filterOf(asChannel(channel)), way)).join("\n");
  return `# What each may do on a Mosquitto. Made by: porchlight-cloud devices acl
# In mosquitto.conf: allow_anonymous false, acl_file <this file>; a device's user name is its id.
# On the listener of the devices, and not on the centre's: use_username_as_clientid true.
${lines((filter, way) => `pattern ${way === "up" ? "write" : "read"} ${filter.replace("+", "%u")}`)}

user ${CENTRE_USER}
${lines((filter, way) => `topic ${way === "up" ? "read" : "write"} ${filter}`)}
`;
}

function asChannel(name: string): Channel {
  return name as Channel; // a key of CHANNELS, which Object.entries forgets
}
