/** A map with a limit: beyond it, what was not asked for the longest is forgotten. */
export interface RecentMap<T> {
  /** What is there; else what is made. */
  get(key: string, make: () => T): T;
  set(key: string, value: T): void;
  delete(key: string): void;
}

export function createRecentMap<T>(sizeMax: number): RecentMap<T> {
  // A Map is in the order of insertion: what is asked for is put at its end.
  const map = new Map<string, T>();
  const set = (key: string, value: T): void => {
    map.delete(key);
    map.set(key, value);
    const oldest = map.size > sizeMax ? map.keys().next().value : undefined;
    if (oldest !== undefined) map.delete(oldest);
  };
  return {
    get(key, make) {
      const value = map.has(key) ? (map.get(key) as T) : make(); // it has it: `undefined` may be a T
      set(key, value);
      return value;
    },
    set,
    delete: (key) => void map.delete(key),
  };
}
