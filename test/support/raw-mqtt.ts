/** An MQTT 3.1.1 client of bytes alone: it does what a proper one does not. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

export function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let left = body.length; ; ) {
    length.push((left & 127) | (left > 127 ? 128 : 0));
    left >>= 7;
    if (left === 0) break;
  }
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

/** CONNECT with user name and password, and a session that is to be kept. */
export function connectPacket(device: string, password: string): Buffer {
  const hello = [text("MQTT"), Buffer.from([4, 0xc0, 0, 60])];
  return packet(0x10, ...hello, text(`porchlight-${device}`), text(device), text(password));
}

export function subscribePacket(topic: string): Buffer {
  return packet(0x82, Buffer.from([0, 1]), text(topic), Buffer.from([1]));
}

/** At QoS 1, with this message id. */
export function publishPacket(topic: string, payload: Buffer, id: number): Buffer {
  return packet(0x32, text(topic), Buffer.from([id >> 8, id & 255]), payload);
}

export async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await either(socket, "connect");
  return socket;
}

/** What does not fit into the buffers waits, as long as the other end takes anything. */
export async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || socket.write(bytes)) return;
  await either(socket, "drain");
}

/** Until that, or its end. */
async function either(socket: Socket, event: "connect" | "drain"): Promise<void> {
  const ended = once(socket, "close").catch(() => undefined);
  await Promise.race([once(socket, event).catch(() => undefined), ended]);
}
