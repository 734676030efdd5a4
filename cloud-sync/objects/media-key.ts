/** By its content, below its device: nobody can take a place that is not theirs. */
export function mediaKey(device: string, sha256: string): string {
  return `media/${device}/${sha256}`;
}
