/**
 * Calls `stop` when this program is asked to end, or when the command that started it in a terminal
 * is gone: killed, it would otherwise leave a program behind that nobody sees.
 */
export function onStopAsked(stop: () => void): void {
  process.once("SIGTERM", stop).once("SIGINT", stop);
  if (process.channel === undefined || process.channel === null) return;
  process.once("disconnect", stop);
  process.channel.unref();
}
