import * as assert from "uvu/assert";
import { didYouMean, nearMiss } from "../../../shared/core/near-miss.ts";
import { suite } from "../../support/suite.ts";

const miss = suite("a near miss");
const KNOWN = ["camera", "models", "threshold", "log"];

miss("is found for a letter too many, too few, wrong or swapped", () => {
  for (const typed of ["cameraa", "camra", "comera", "caemra", "CAMERA", "camear"]) {
    assert.is(nearMiss(typed, KNOWN), "camera", typed);
  }
});

miss("is the closest word, not the first close one", () => {
  assert.is(nearMiss("modes", ["nodes2", "models"]), "models");
});

miss("is not found in what is another word", () => {
  for (const typed of ["door", "thresh", "", "xyz"]) assert.is(nearMiss(typed, KNOWN), null, typed);
});

miss("never suggests a short word of which nothing is left", () => {
  assert.is(nearMiss("ab", ["cd"]), null);
});

miss("becomes a question at the end of a message, or nothing", () => {
  assert.is(didYouMean("modles", KNOWN), ", did you mean models?");
  assert.is(didYouMean("window", KNOWN), "");
});

miss.run();
