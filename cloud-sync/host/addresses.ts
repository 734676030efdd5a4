import { hostname, networkInterfaces } from "node:os";

/** Addresses at which a server listens everywhere, and nobody connects. */
const ANYWHERE = ["0.0.0.0", "::"];

export function isAnywhere(host: string): boolean {
  return ANYWHERE.includes(host);
}

/** Whether only this machine can reach a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** By which others reach this machine, as far as it knows. */
export function ownNames(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outside = addresses.filter(({ internal, scopeid }) => !internal && !scopeid);
  const name = hostname().toLowerCase();
  const names = name.includes(".") ? [name] : [name, `${name}.local`];
  return [...names, "localhost", "127.0.0.1", ...outside.map(({ address }) => address)];
}

/**
 * The host that others are told for a server that listens at `host`: where that is everywhere, the
 * first name of its certificate, or of this machine.
 */
export function advertisedHost(host: string, names: readonly string[]): string {
  return isAnywhere(host) ? (names[0] ?? ownNames()[0] ?? host) : host;
}
