/**
 * Calls `stop` once when this program is asked to end, or when the command that started it in a
 * terminal is gone: killed, it would otherwise leave a program behind that nobody sees. Further
 * signals are ignored: a signal to a process group arrives twice where a parent passes it on, and
 * the second must not cut the stop short.
 */
export function onStopAsked(stop: () => void): void {
  let asked = false;
  const once = (): void => {
    if (asked) return;
    asked = true;
    stop();
  };
  process.on("SIGTERM", once).on("SIGINT", once);
  if (process.channel === undefined || process.channel === null) return;
  process.once("disconnect", once);
  process.channel.unref();
}
