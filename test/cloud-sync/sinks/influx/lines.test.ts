import * as assert from "uvu/assert";
import { lineOf } from "../../../../cloud-sync/sinks/influx/lines.ts";
import type { Point } from "../../../../cloud-sync/sinks/metrics/points.ts";
import { suite } from "../../../support/suite.ts";

const lines = suite("line protocol");

const POINT: Point = {
  measurement: "arrival",
  device: "d",
  tags: { camera: "door" },
  fields: { delayMs: 1.5 },
  at: 1_790_000_000_000,
  log: "l",
  seq: 42,
  position: 1n,
};

lines("a point is a line, its tags in order", () => {
  const line = "arrival,camera=door,device=d delayMs=1.5 1790000000000000042";
  assert.is(lineOf(POINT), line);
});

lines("commas, spaces and equals signs in names are escaped", () => {
  const odd = { tags: { "a b": "c=d,e f" }, fields: { "x,y = z": -1e21, n: 0 } };
  const line = lineOf({ ...POINT, ...odd }) ?? "";
  assert.ok(line.startsWith("arrival,a\\ b=c\\=d\\,e\\ f,device=d "));
  assert.ok(line.includes(" x\\,y\\ \\=\\ z=-1e+21,n=0 "));
});

lines("what cannot be said makes no line that means something else", () => {
  for (const camera of ["", "a\nb", "a\\", "a\\,b", "\u0000", "a\u007f"]) {
    assert.is(lineOf({ ...POINT, tags: { camera } }), null);
  }
  assert.is(lineOf({ ...POINT, fields: { "a\nb": 1 } }), null);
  assert.is.not(lineOf({ ...POINT, tags: { camera: 'Haustür "vorn"' } }), null);
});

lines("two entries of one millisecond are two points", () => {
  const times = [1, 2, 999_999, 1_000_000].map((seq) =>
    lineOf({ ...POINT, seq })
      ?.split(" ")
      .at(-1),
  );
  assert.is(new Set(times).size, 4);
  assert.is(times[3], "1790000000000000000");
});

lines.run();
