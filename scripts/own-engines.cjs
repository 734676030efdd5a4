// npm leaves an optional package out when the Node.js that runs npm is too old for it. What will run
// the packages is our own: npm asks for that version (process.version) where this is preloaded.
const { optionalDependencies } = require("../package.json");

const version = optionalDependencies[`node-linux-${process.arch}`];
if (version !== undefined) Object.defineProperty(process, "version", { value: `v${version}` });
