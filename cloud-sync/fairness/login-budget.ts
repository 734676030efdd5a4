/**
 * Login attempts: how many wrong passwords a device and an address may send before they wait, and
 * how many password checks are under way. Asked before scrypt, and before the database.
 */
import { type Bucket, createBucket } from "../../shared/core/token-bucket.ts";
import {
  ADDRESS_FAILURES,
  AUTHENTICATIONS_MAX,
  AUTHENTICATIONS_PER_ADDRESS_MAX,
  LOGIN_FAILURES,
  REMEMBERED_MAX,
  RETURNS,
} from "./limits.ts";
import { createRecentMap } from "./recent-map.ts";

export interface Attempt {
  readonly device: string;
  readonly address: string;
}

export interface LoginBudget {
  /** A device comes again, whose password is known to be good; false when it does so too often. */
  mayReturn(device: string): boolean;
  /** Takes a place for one check; false where there is none, or too many have failed. */
  begin(attempt: Attempt): boolean;
  /** The check is done. */
  end(attempt: Attempt, outcome: "good" | "wrong" | "unknown"): void;
  /** Attempts that were refused unchecked. */
  refused(): number;
}

export function createLoginBudget(monotonicMs: () => number): LoginBudget {
  const ofPair = createRecentMap<Bucket>(REMEMBERED_MAX);
  const ofAddress = createRecentMap<Bucket>(REMEMBERED_MAX);
  const returns = createRecentMap<Bucket>(REMEMBERED_MAX);
  const underWay = new Map<string, number>();
  let all = 0;
  let refused = 0;
  const bucket = ({ burst, perSecond }: { burst: number; perSecond: number }) =>
    createBucket({ burst: burst - 1, perMs: perSecond / 1_000, monotonicMs });
  const pairOf = ({ device, address }: Attempt): Bucket =>
    ofPair.get(`${device} ${address}`, () => bucket(LOGIN_FAILURES));
  const addressOf = ({ address }: Attempt): Bucket =>
    ofAddress.get(address, () => bucket(ADDRESS_FAILURES));
  return {
    mayReturn(device) {
      const may = returns.get(device, () => bucket(RETURNS)).take();
      if (!may) refused++;
      return may;
    },
    begin(attempt) {
      const here = underWay.get(attempt.address) ?? 0;
      const room = all < AUTHENTICATIONS_MAX && here < AUTHENTICATIONS_PER_ADDRESS_MAX;
      if (!room || pairOf(attempt).waitMs() > 0 || addressOf(attempt).waitMs() > 0) {
        refused++;
        return false;
      }
      all++;
      underWay.set(attempt.address, here + 1);
      return true;
    },
    end(attempt, outcome) {
      all--;
      const left = (underWay.get(attempt.address) ?? 1) - 1;
      if (left === 0) underWay.delete(attempt.address);
      else underWay.set(attempt.address, left);
      if (outcome !== "wrong") return;
      pairOf(attempt).charge(1);
      addressOf(attempt).charge(1);
    },
    refused: () => refused,
  };
}
