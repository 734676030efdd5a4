#!/usr/bin/env node
// Prepares a clone with whatever Node.js and npm the machine has: here only the check whether they
// are new enough, in words that Node.js 12 understands too. The steps are in setup-steps.mjs.
var FLOOR = 18;

if (Number(process.versions.node.split(".")[0]) >= FLOOR) {
  void import("./setup-steps.mjs");
} else {
  process.stderr.write(
    "porchlight setup: Node.js " +
      FLOOR +
      " or newer is needed to install Porchlight's own, this is " +
      process.versions.node +
      "\n  install it from your distribution or nodejs.org, then run the same command again\n",
  );
  process.exit(1);
}
