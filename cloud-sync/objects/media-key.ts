/**
 * The object key: by content, below its device, so that no device can write where another's objects
 * are.
 */
export function mediaKey(device: string, sha256: string): string {
  return `media/${device}/${sha256}`;
}

/** Whose object it is. */
export function deviceOfKey(key: string): string {
  return key.split("/")[1] ?? "";
}
