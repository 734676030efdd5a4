import { fuzzCentres } from "../support/fuzzed-centre.ts";
import { needsMosquitto } from "../support/mosquitto.ts";
import { needsPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";

/** 5,000 of each in test/behaviour/fuzzed-centre.test.ts. */
const COUNT = 100_000;

const fuzzing = suite("a centre, and what nobody should send it");

if (needsMosquitto() && needsPostgres()) {
  fuzzing("neither a request nor a message ends it, and honest devices get their acks", () =>
    fuzzCentres(COUNT),
  );
}

fuzzing.run();
