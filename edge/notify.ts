import type { Logger } from "../shared/logger.ts";
export interface Notifier {
  ready(): void;
  stopping(): void;
  alive(): void;
  status(text: string): void;
  close(): Promise<void>;
}
export function createNotifier(
  _environment: Readonly<Record<string, string | undefined>>,
  _logger: Logger,
): Notifier {
  return {
    ready: () => undefined,
    stopping: () => undefined,
    alive: () => undefined,
    status: () => undefined,
    close: async () => undefined,
  };
}
export const silentNotifier: Notifier = createNotifier({}, undefined as never);
