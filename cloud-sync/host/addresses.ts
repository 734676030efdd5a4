import { hostname, networkInterfaces } from "node:os";

/** Wildcard addresses: a server listens there, and no client connects to them. */
const ANYWHERE = ["0.0.0.0", "::"];

export function isAnywhere(host: string): boolean {
  return ANYWHERE.includes(host);
}

/** Whether only this machine can reach a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Names and addresses of this machine, as far as it knows them. */
export function ownNames(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outside = addresses.filter(({ internal, scopeid }) => !internal && !scopeid);
  const name = hostname().toLowerCase();
  const names = name.includes(".") ? [name] : [name, `${name}.local`];
  return [...names, "localhost", "127.0.0.1", ...outside.map(({ address }) => address)];
}

/**
 * The host to advertise for a server that listens at `host`: for a wildcard address, the first name
 * of its certificate, or of this machine.
 */
export function advertisedHost(host: string, names: readonly string[]): string {
  return isAnywhere(host) ? (names[0] ?? ownNames()[0] ?? host) : host;
}
