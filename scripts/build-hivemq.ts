/** Fetches HiveMQ CE with Maven, and compiles the program around it that the full run starts. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HIVEMQ } from "../test/support/built.ts";
import { run } from "./run-program.ts";

const PROGRAM = fileURLToPath(new URL("../test/support/HiveMq.java", import.meta.url));
const { group, name, version } = HIVEMQ.artifact;

const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>porchlight.test</groupId>
  <artifactId>hivemq</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>${group}</groupId>
      <artifactId>${name}</artifactId>
      <version>${version}</version>
    </dependency>
  </dependencies>
</project>
`;

export function buildHivemq(folder: string, scratch: string): void {
  const [project, jars] = [join(scratch, "project"), join(folder, "jars")];
  mkdirSync(project);
  writeFileSync(join(project, "pom.xml"), PROJECT);
  const quiet = ["--batch-mode", "--quiet", `-Dmaven.repo.local=${join(scratch, "repository")}`];
  run("mvn", [...quiet, "dependency:copy-dependencies", `-DoutputDirectory=${jars}`], {
    cwd: project,
  });
  run("javac", ["-cp", join(jars, "*"), "-d", folder, PROGRAM]);
}
